package org.threegate.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.Base64;

/**
 * The Content-Security-Policy of a page that contains its own scripts and styles. They are allowed
 * by their hashes. A browser runs, loads and sends nothing else, whatever text the page shows.
 *
 * <pre>{@code
 * String page = "<title>a page</title><script>document.title += '!';</script>";
 * String header = PagePolicy.of(page) + "; frame-ancestors 'none'";
 * }</pre>
 */
public final class PagePolicy {
  private PagePolicy() {}

  /**
   * {@return the directives for a page}
   *
   * @param html the page before foreign text is inserted, with {@code \n} as line ends; every
   *     {@code <script>} and {@code <style>} without attributes is allowed
   */
  public static String of(String html) {
    return "default-src 'none'; script-src"
        + hashes("script", html)
        + "; style-src"
        + hashes("style", html)
        + "; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";
  }

  private static String hashes(String element, String html) {
    String begin = "<" + element + ">";
    String end = "</" + element + ">";
    StringBuilder hashes = new StringBuilder();
    int opened = html.indexOf(begin);
    int closed = html.indexOf(end, Math.max(0, opened));
    while (opened >= 0 && closed >= 0) {
      String content = html.substring(opened + begin.length(), closed);
      byte[] digest = Digests.sha256().digest(content.getBytes(StandardCharsets.UTF_8));
      hashes.append(" 'sha256-").append(Base64.getEncoder().encodeToString(digest)).append('\'');
      opened = html.indexOf(begin, closed);
      closed = html.indexOf(end, Math.max(0, opened));
    }
    return hashes.isEmpty() ? " 'none'" : hashes.toString();
  }
}
