//! Networks, and which addresses are open to everybody.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};

/// Addresses that begin alike: `10.0.0.0/8`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Never an IPv4 address in the form of IPv6.
    base: IpAddr,
    bits: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, second: u16, third: u16, bits: u8) -> Self {
        Self { base: IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)), bits }
    }

    /// Whether an address is one of them. An IPv4 address in the form of IPv6 is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && first_bits(address, self.bits) == first_bits(self.base, self.bits)
    }

    /// Whether it is one of IPv4.
    pub(super) fn is_v4(&self) -> bool {
        self.base.is_ipv4()
    }

    fn bits_max(&self) -> u8 {
        if self.is_v4() { 32 } else { 128 }
    }
}

/// The first bits of an address, on the left; the others are zero.
fn first_bits(address: IpAddr, bits: u8) -> u128 {
    let value = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    value & u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {why}")]
pub struct NotANetwork {
    text: String,
    why: String,
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = |why: String| NotANetwork { text: text.chars().take(64).collect(), why };
        let no_network = || wrong("is no network; write it as 10.0.0.0/8, fd00::/8 or 10.0.0.5".to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| no_network())?;
        if base != base.to_canonical() {
            return Err(wrong(format!("is IPv4 in the form of IPv6; write {} and bits of IPv4", base.to_canonical())));
        }
        let mut network = Self { base, bits: 0 };
        network.bits = match bits {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| no_network())?,
            Some(_) => return Err(no_network()),
            None => network.bits_max(),
        };
        if network.bits > network.bits_max() {
            return Err(wrong(format!("has more than {} bits", network.bits_max())));
        }
        if first_bits(base, network.bits) != first_bits(base, 128) {
            return Err(wrong(format!(
                "is an address inside of a network; write the address, or the network's first with /{}",
                network.bits
            )));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)?;
        if self.bits == self.bits_max() { Ok(()) } else { write!(f, "/{}", self.bits) }
    }
}

/// Networks, as a setting has them: with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether an address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let networks = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        networks.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// IPv4 that is not for everybody (IANA's registry of special-purpose addresses), multicast and what is reserved.
const NOT_PUBLIC_V4: [Network; 15] = [
    Network::v4(0, 0, 0, 0, 8),
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(100, 64, 0, 0, 10),
    Network::v4(127, 0, 0, 0, 8),
    Network::v4(169, 254, 0, 0, 16),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 0, 0, 0, 24),
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(192, 88, 99, 0, 24),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(198, 18, 0, 0, 15),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(240, 0, 0, 0, 4),
];

/// The part of IPv6 that is given out for everybody (RFC 4291, section 2.4).
const PUBLIC_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// What of that is not: protocols' own (Teredo among them), documentation.
const NOT_PUBLIC_V6: [Network; 3] =
    [Network::v6(0x2001, 0, 0, 23), Network::v6(0x2001, 0xdb8, 0, 32), Network::v6(0x3fff, 0, 0, 20)];

/// IPv6 that leads to an IPv4 address: 6to4 (RFC 3056), which has it after 16 bits, and NAT64 (RFC 6052), which has it at the end.
const SIX_TO_FOUR: Network = Network::v6(0x2002, 0, 0, 16);
const NAT64: Network = Network::v6(0x64, 0xff9b, 0, 96);

/// Whether an address is one that everybody may reach: not this machine's own, not of a network behind it, not for several at once.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(address) => {
            let (ip, value) = (IpAddr::V6(address), u128::from(address));
            let leads_to = |v4: u128| is_public(Ipv4Addr::from((v4 & u128::from(u32::MAX)) as u32).into());
            if SIX_TO_FOUR.contains(ip) {
                return leads_to(value >> 80);
            }
            if NAT64.contains(ip) {
                return leads_to(value);
            }
            PUBLIC_V6.contains(ip) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(ip))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_addresses() {
        for (network, address, has) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.4", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::/0", "1.2.3.4", false),
            ("::1", "::1", true),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().contains(ip(address)), has, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for (text, told) in [
            ("", "is no network"),
            ("10.0.0.0/", "is no network"),
            ("10.0.0.0/+8", "is no network"),
            ("10.0.0.0/8/8", "is no network"),
            ("10.0.0.0/33", "more than 32 bits"),
            ("fd00::/129", "more than 128 bits"),
            ("10.0.0.1/8", "inside of a network"),
            ("010.0.0.0/8", "is no network"),
            ("0x0a000000/8", "is no network"),
            ("::ffff:10.0.0.0/104", "write 10.0.0.0"),
            ("localhost", "is no network"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!("10.0.0.0/8,,::1".parse::<Networks>().is_err());
        assert_eq!(" ".parse(), Ok(Networks::default()));
        let networks: Networks = "10.0.0.0/8, ::1".parse().unwrap();
        assert!(networks.contain(ip("10.2.3.4")) && networks.contain(ip("::1")) && !networks.contain(ip("::2")));
    }

    #[test]
    fn addresses_of_machines_and_networks_are_not_public() {
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(ip(private)), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "193.0.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(ip(public)), "{public}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value: u128, is_v4: bool, bits in 0_u8..=128) {
            let bits = if is_v4 { bits % 33 } else { bits };
            let base = if is_v4 { IpAddr::V4(Ipv4Addr::from(value as u32)) } else { IpAddr::V6(Ipv6Addr::from(value)) };
            let first = first_bits(base, bits);
            let base = if is_v4 { IpAddr::V4(Ipv4Addr::from((first >> 96) as u32)) } else { IpAddr::V6(Ipv6Addr::from(first)) };
            prop_assume!(base == base.to_canonical());
            let network = Network { base, bits };
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            prop_assert!(network.contains(base));
        }

        #[test]
        fn forms_of_ipv6_are_no_way_around(value: u32) {
            let v4 = Ipv4Addr::from(value);
            let [a, b] = [(value >> 16) as u16, value as u16];
            for form in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(is_public(form.into()), is_public(v4.into()));
            }
            prop_assert!(!is_public(v4.to_ipv6_compatible().into()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "([0-9a-f.:/,]|.){0,60}") {
            let _ = text.parse::<Networks>();
        }
    }
}
