package org.threegate.rl.observe;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The head of an HTTP request.
 *
 * @param method the method
 * @param host the value of the Host field
 * @param path the part of the target before the question mark, not decoded
 * @param query the part after it; empty when there is none
 */
record HttpRequest(String method, String host, String path, String query) {
  /** The maximal length of a head in bytes. */
  static final int LONGEST = 8192;

  private static final Pattern FIRST =
      Pattern.compile("([A-Za-z-]+) ([\\x21-\\x7e]+) HTTP/1\\.[01]");
  private static final Pattern FIELD = Pattern.compile("([A-Za-z0-9!#$%&'*+.^_`|~-]+):(.*)");
  private static final Pattern LOCAL =
      Pattern.compile("(127\\.0\\.0\\.1|localhost)(:\\d{1,5})?", Pattern.CASE_INSENSITIVE);

  /**
   * Parses a head.
   *
   * @param head the lines, without the final empty line
   * @return the request
   * @throws IllegalArgumentException when it is malformed, or does not have exactly one Host field
   */
  static HttpRequest of(String head) {
    String[] lines = head.split("\r\n", -1);
    Matcher first = FIRST.matcher(lines[0]);
    if (!first.matches()) {
      throw new IllegalArgumentException("malformed request line");
    }
    String host = "";
    for (String line : List.of(lines).subList(1, lines.length)) {
      Matcher field = FIELD.matcher(line);
      if (!field.matches()) {
        throw new IllegalArgumentException("malformed header field");
      }
      if (field.group(1).toLowerCase(Locale.ROOT).equals("host")) {
        if (!host.isEmpty()) {
          throw new IllegalArgumentException("more than one Host field");
        }
        host = field.group(2).strip();
      }
    }
    String target = first.group(2);
    int query = target.indexOf('?');
    return new HttpRequest(
        first.group(1),
        host,
        query < 0 ? target : target.substring(0, query),
        query < 0 ? "" : target.substring(query + 1));
  }

  /** Returns the response that rejects the request, if it has to be rejected. */
  Optional<HttpAnswer> refusal() {
    if (!LOCAL.matcher(host).matches()) {
      // A foreign name that resolves to this machine is refused: this prevents DNS rebinding.
      return Optional.of(
          HttpAnswer.text(
              HttpAnswer.FORBIDDEN, "this page is only served for 127.0.0.1 and localhost"));
    }
    if (!method.equals("GET") && !method.equals("HEAD")) {
      return Optional.of(
          HttpAnswer.text(HttpAnswer.NOT_ALLOWED, "only GET and HEAD are supported")
              .with(Map.of("Allow", "GET, HEAD")));
    }
    return Optional.empty();
  }
}
