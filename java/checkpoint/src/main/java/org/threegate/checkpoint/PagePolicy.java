package org.threegate.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
  private static final Pattern SCRIPT = Pattern.compile("<script>(.*?)</script>", Pattern.DOTALL);
  private static final Pattern STYLE = Pattern.compile("<style>(.*?)</style>", Pattern.DOTALL);

  private PagePolicy() {}

  /**
   * {@return the directives for a page}
   *
   * @param html the page before foreign text is inserted, with {@code \n} as line ends; every
   *     {@code <script>} and {@code <style>} without attributes is allowed
   */
  public static String of(String html) {
    return "default-src 'none'; script-src"
        + hashes(SCRIPT, html)
        + "; style-src"
        + hashes(STYLE, html)
        + "; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";
  }

  private static String hashes(Pattern element, String html) {
    StringBuilder hashes = new StringBuilder();
    Matcher matcher = element.matcher(html);
    while (matcher.find()) {
      byte[] digest = Digests.sha256().digest(matcher.group(1).getBytes(StandardCharsets.UTF_8));
      hashes.append(" 'sha256-").append(Base64.getEncoder().encodeToString(digest)).append('\'');
    }
    return hashes.isEmpty() ? " 'none'" : hashes.toString();
  }
}
