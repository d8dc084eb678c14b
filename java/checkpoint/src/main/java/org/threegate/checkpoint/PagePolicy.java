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

  /**
   * {@return the hash by which a policy allows a script or a style}
   *
   * @param content text of the element
   */
  public static String hash(String content) {
    byte[] digest = Digests.sha256().digest(content.getBytes(StandardCharsets.UTF_8));
    return "sha256-" + Base64.getEncoder().encodeToString(digest);
  }

  private static String hashes(String element, String html) {
    String open = "<" + element + ">";
    String close = "</" + element + ">";
    StringBuilder hashes = new StringBuilder();
    // A pattern would take a tenth of a second for a plotting library.
    int at = html.indexOf(open);
    int end = at < 0 ? -1 : html.indexOf(close, at + open.length());
    while (end >= 0) {
      String content = html.substring(at + open.length(), end);
      hashes.append(" '").append(hash(content)).append('\'');
      at = html.indexOf(open, end + close.length());
      end = at < 0 ? -1 : html.indexOf(close, at + open.length());
    }
    return hashes.isEmpty() ? " 'none'" : hashes.toString();
  }
}
