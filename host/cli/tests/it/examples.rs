//! The example functions through a real host.

use std::fs;

use jpeg_decoder::{Decoder, ImageInfo};
use ureq::http::Request;

use crate::fixture::{Host, agent, project, send};

fn decoded(jpeg: &[u8]) -> (ImageInfo, Vec<u8>) {
    let mut decoder = Decoder::new(jpeg);
    let pixels = decoder.decode().unwrap();
    (decoder.info().unwrap(), pixels)
}

/// The mean colour of a part, given in fractions of the sides.
fn mean(info: ImageInfo, pixels: &[u8], [x, y, w, h]: [f64; 4]) -> [f64; 3] {
    let (width, height) = (f64::from(info.width), f64::from(info.height));
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for row in (y * height) as usize..((y + h) * height) as usize {
        for column in (x * width) as usize..((x + w) * width) as usize {
            let at = (row * usize::from(info.width) + column) * 3;
            (0..3).for_each(|channel| sum[channel] += f64::from(pixels[at + channel]));
            count += 1.0;
        }
    }
    sum.map(|sum| sum / count)
}

#[test]
fn a_photograph_comes_back_resized() {
    let host = Host::start();
    host.deploy("image");
    let photo = fs::read(project("functions/image/photo.jpg")).unwrap();
    let answer = host.call("POST", "/image?w=320", &photo);
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/jpeg"));
    let ((was, original), (is, small)) = (decoded(&photo), decoded(&answer.body));
    assert_eq!((was.width, was.height), (1200, 800));
    assert_eq!((is.width, is.height), (320, 213));
    // The same picture: each part has the colour that it had.
    for part in 0..16 {
        let part = [f64::from(part % 4) / 4.0, f64::from(part / 4) / 4.0, 0.25, 0.25];
        let (before, after) = (mean(was, &original, part), mean(is, &small, part));
        let difference = before.iter().zip(after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(difference < 6.0, "{part:?}: {before:?} became {after:?}");
    }
}

#[test]
fn pictures_are_negotiated_and_bombs_refused() {
    let host = Host::start();
    host.deploy("image");
    let photo = fs::read(project("functions/image/photo.jpg")).unwrap();
    let request =
        Request::post(format!("http://{}/image?w=64&h=64&fit=cover", host.data)).header("accept", "image/webp");
    let webp = send(&agent(), request.body(&photo[..]).unwrap());
    assert_eq!((webp.header("content-type"), &webp.body[8..12]), ("image/webp", &b"WEBP"[..]));
    let png = host.call("POST", "/image?w=64&format=png", &photo);
    assert_eq!(&png.body[..4], b"\x89PNG");
    // A PNG that claims 65,535 by 65,535 pixels.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\x06\0\0\0".to_vec();
    bomb.extend([0x95, 0x2c, 0xd7, 0x66]);
    bomb.extend(b"\0\0\0\x01IDATx");
    let refused = host.call("POST", "/image", &bomb);
    assert!([413, 422].contains(&refused.status), "{refused:?}");
    assert_eq!(host.call("POST", "/image?w=0", &photo).status, 400);
    assert_eq!(host.call("POST", "/image", b"hello").status, 415);
    assert_eq!(host.call("POST", "/image", &photo[..1000]).status, 422);
    assert_eq!(host.get("/image").status, 405);
}

#[test]
fn markdown_is_made_safe() {
    let host = Host::start();
    host.deploy("markdown");
    let answer = host.call("POST", "/markdown", b"# Hi\n<script>alert(1)</script>\n\n[x](javascript:alert(1))");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.text().starts_with("<h1>Hi</h1>"), "{}", answer.text());
    assert!(!answer.text().contains("script"), "{}", answer.text());
}

#[test]
fn tokens_are_issued_and_checked() {
    let host = Host::start();
    host.deploy("auth");
    let request = Request::post(format!("http://{}/auth/token", host.data)).header("content-type", "application/json");
    let issued = send(&agent(), request.body(r#"{"sub":"ada","claims":{"role":"admin"}}"#).unwrap());
    assert_eq!(issued.status, 201, "{issued:?}");
    let token = issued.json()["token"].as_str().unwrap().to_owned();
    let verify = |token: &str| {
        let request = Request::get(format!("http://{}/auth/verify", host.data));
        send(&agent(), request.header("authorization", format!("Bearer {token}")).body(()).unwrap())
    };
    let claims = verify(&token);
    assert_eq!((claims.status, claims.json()["role"].as_str()), (200, Some("admin")));
    let refused = verify(&format!("{token}x"));
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").contains("invalid_token"));
}
