package org.threegate.rl.observe;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The head of a request.
 *
 * @param host as the client calls this machine
 * @param path up to a question mark, as it was sent
 * @param query after it; empty where there is none
 */
record HttpRequest(String method, String host, String path, String query) {
  /** Bytes of a head, at most. */
  static final int LONGEST = 8192;

  private static final Pattern FIRST =
      Pattern.compile("([A-Za-z-]+) ([\\x21-\\x7e]+) HTTP/1\\.[01]");
  private static final Pattern FIELD = Pattern.compile("([A-Za-z0-9!#$%&'*+.^_`|~-]+):(.*)");
  private static final Pattern LOCAL =
      Pattern.compile("(127\\.0\\.0\\.1|localhost)(:\\d{1,5})?", Pattern.CASE_INSENSITIVE);

  /**
   * @param head lines without the empty one at their end
   * @throws IllegalArgumentException when it is no request, or names no host, or two
   */
  static HttpRequest of(String head) {
    String[] lines = head.split("\r\n", -1);
    Matcher first = FIRST.matcher(lines[0]);
    if (!first.matches()) {
      throw new IllegalArgumentException("not a request");
    }
    String host = "";
    for (String line : List.of(lines).subList(1, lines.length)) {
      Matcher field = FIELD.matcher(line);
      if (!field.matches()) {
        throw new IllegalArgumentException("not a field");
      }
      if (field.group(1).toLowerCase(Locale.ROOT).equals("host")) {
        if (!host.isEmpty()) {
          throw new IllegalArgumentException("two hosts");
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

  /** Why it is not answered, if it is not. */
  Optional<HttpAnswer> refusal() {
    if (!LOCAL.matcher(host).matches()) {
      // A name that somebody else had resolve to this machine is not ours.
      return Optional.of(HttpAnswer.text(HttpAnswer.FORBIDDEN, "only for 127.0.0.1 and localhost"));
    }
    if (!method.equals("GET") && !method.equals("HEAD")) {
      return Optional.of(
          HttpAnswer.text(HttpAnswer.NOT_ALLOWED, "GET and HEAD alone")
              .with(Map.of("Allow", "GET, HEAD")));
    }
    return Optional.empty();
  }
}
