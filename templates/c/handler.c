// A function: one request in, one response out (wit/function.wit).
//
// Who frees what: the request is the handler's, to be freed once it has been read (exports_gust_request_free). The response,
// or the error, is the caller's when the handler has returned: it frees every pointer in it, so each must come from malloc,
// and none may be kept or be a literal.
#define _GNU_SOURCE // asprintf
#include "bindings/function.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A percent-decoded copy, which the caller frees.
static char *decoded(const char *from, const char *end) {
  char *text = malloc((size_t)(end - from) + 1), *to = text;
  if (!text) abort();
  for (; from < end; from++) {
    const char *hex = from + 1;
    if (*from == '%' && end - hex >= 2 && isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1])) {
      *to++ = (char)strtol((char[]){hex[0], hex[1], '\0'}, NULL, 16);
      from += 2;
    } else {
      *to++ = *from == '+' ? ' ' : *from;
    }
  }
  *to = '\0';
  return text;
}

// The value of a key in the query of a path, which the caller frees; NULL where it is not there. A path ends after `len`
// bytes, not with a NUL.
static char *query_value(const function_string_t *path, const char *key) {
  const char *end = (const char *)path->ptr + path->len;
  const char *at = memchr(path->ptr, '?', path->len);
  size_t length = strlen(key);
  while (at) {
    const char *pair = at + 1;
    at = memchr(pair, '&', (size_t)(end - pair));
    const char *pair_end = at ? at : end;
    if ((size_t)(pair_end - pair) > length && pair[length] == '=' && !memcmp(pair, key, length)) {
      return decoded(pair + length + 1, pair_end);
    }
  }
  return NULL;
}

// A list of one header.
static exports_gust_list_header_t one_header(const char *name, const char *value) {
  exports_gust_header_t *header = malloc(sizeof *header);
  if (!header) abort();
  function_string_dup(&header->f0, name);
  header->f1.len = strlen(value);
  header->f1.ptr = (uint8_t *)strdup(value);
  if (!header->f1.ptr) abort();
  return (exports_gust_list_header_t){header, 1};
}

// Returns true with a response, or false with an error.
bool exports_gust_handle(exports_gust_request_t *req, exports_gust_response_t *ret, exports_gust_error_t *err) {
  char *name = query_value(&req->path, "name");
  char *text;
  int length = asprintf(&text, "Hello, %s!", name ? name : "world");
  free(name);
  exports_gust_request_free(req);
  if (length < 0) {
    err->tag = EXPORTS_GUST_ERROR_FAILED; // 500; EXPORTS_GUST_ERROR_BAD_REQUEST is 400
    function_string_dup(&err->val.failed, "the greeting cannot be written");
    return false;
  }
  ret->status = 200;
  ret->headers = one_header("content-type", "text/plain; charset=utf-8");
  ret->body = (function_list_u8_t){(uint8_t *)text, (size_t)length};
  return true;
}
