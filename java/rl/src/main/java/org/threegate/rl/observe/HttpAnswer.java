package org.threegate.rl.observe;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An HTTP response. The connection closes after it.
 *
 * @param status the status code
 * @param type the content type of the body
 * @param fields additional header fields
 * @param body the body
 */
record HttpAnswer(int status, String type, Map<String, String> fields, byte[] body) {
  static final int OK = 200;
  static final int BAD_REQUEST = 400;
  static final int FORBIDDEN = 403;
  static final int NOT_FOUND = 404;
  static final int NOT_ALLOWED = 405;
  static final int TOO_LARGE = 431;
  static final int FAILED = 500;

  /** The response to a request that exceeds the maximal length. */
  static final HttpAnswer TOO_LONG = text(TOO_LARGE, "the request is too long");

  /** The header fields of all responses. */
  private static final Map<String, String> ALWAYS =
      Map.of(
          "Cache-Control", "no-store",
          "Connection", "close",
          "Cross-Origin-Resource-Policy", "same-origin",
          "Referrer-Policy", "no-referrer",
          "X-Content-Type-Options", "nosniff",
          "X-Frame-Options", "DENY",
          "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");

  private static final Map<Integer, String> REASONS =
      Map.of(
          OK, "OK",
          BAD_REQUEST, "Bad Request",
          FORBIDDEN, "Forbidden",
          NOT_FOUND, "Not Found",
          NOT_ALLOWED, "Method Not Allowed",
          TOO_LARGE, "Request Header Fields Too Large",
          FAILED, "Internal Server Error");

  static HttpAnswer text(int status, String text) {
    return new HttpAnswer(
        status, "text/plain; charset=utf-8", Map.of(), text.getBytes(StandardCharsets.UTF_8));
  }

  /** Returns the same response with other additional fields. */
  HttpAnswer with(Map<String, String> others) {
    return new HttpAnswer(status, type, others, body);
  }

  /**
   * Returns the bytes to send.
   *
   * @param whole whether the body is included
   */
  ByteBuffer[] bytes(boolean whole) {
    Map<String, String> all = new LinkedHashMap<>(ALWAYS);
    all.put("Content-Type", type);
    all.put("Content-Length", Integer.toString(body.length));
    all.putAll(fields);
    StringBuilder head =
        new StringBuilder("HTTP/1.1 " + status + " " + REASONS.get(status) + "\r\n");
    all.forEach((name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
    return new ByteBuffer[] {
      ByteBuffer.wrap(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1)),
      ByteBuffer.wrap(body, 0, whole ? body.length : 0)
    };
  }
}
