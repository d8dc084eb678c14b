package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PagePolicyTest {
  /** The digest is from the example in the specification of Content Security Policy Level 2. */
  @Test
  void scriptsAndStylesAreKnownByTheirHashes() {
    assertThat(PagePolicy.of("<p><script>alert('Hello, world.');</script>"))
        .isEqualTo(
            "default-src 'none';"
                + " script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=';"
                + " style-src 'none'; base-uri 'none'; form-action 'none';"
                + " require-trusted-types-for 'script'");
  }

  @Test
  void onlyWhatHasNoAttributesIsAllowed() {
    String policy =
        PagePolicy.of("<script src=x>1</script><script type=\"application/json\">{}</script>");
    assertThat(policy).contains("script-src 'none'");
    assertThat(PagePolicy.of("<script>\n1</script><script>2</script><style>a{}</style>"))
        .containsPattern("script-src 'sha256-[^']{44}' 'sha256-[^']{44}'; style-src 'sha256-");
  }

  @Test
  void anElementEndsAtItsFirstEndAndNeedsOne() {
    String two = PagePolicy.of("<script>a</script>b</script><script>c</script><style>d");
    assertThat(two).isEqualTo(PagePolicy.of("<script>a</script> <script>c</script>"));
    assertThat(PagePolicy.of("<script>a")).contains("script-src 'none'");
    assertThat(PagePolicy.of("<script></script>"))
        .isEqualTo(PagePolicy.of("<p><script></script>"))
        .doesNotContain("script-src 'none'");
  }
}
