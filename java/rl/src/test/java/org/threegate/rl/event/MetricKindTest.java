package org.threegate.rl.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Tests that each metric of the glossary has the kind that is written there. */
class MetricKindTest {
  private static Map<String, String> documented() throws IOException {
    Path page = Path.of(System.getProperty("threegate.root"), "docs", "glossary.md");
    Map<String, String> kinds = new LinkedHashMap<>();
    boolean inside = false;
    for (String line : Files.readAllLines(page)) {
      inside = line.startsWith("## ") ? line.equals("## Metrics of a training run") : inside;
      if (inside && line.startsWith("| `")) {
        List<String> cells = Arrays.stream(line.split("\\|")).map(String::strip).toList();
        if (!cells.get(3).equals("–")) {
          kinds.put(cells.get(1).replace("`", ""), cells.get(3));
        }
      }
    }
    return kinds;
  }

  @Test
  void kindsAreAsDocumented() throws IOException {
    Map<String, String> documented = documented();
    assertThat(documented).hasSizeGreaterThan(70);
    documented.forEach(
        (name, kind) ->
            assertThat(MetricKind.of(name).label().replace('_', ' ')).as(name).isEqualTo(kind));
  }

  @Test
  void partsOfAMetricAreOfItsKind() {
    assertThat(MetricKind.of("pass@64/low")).isEqualTo(MetricKind.SHARE);
    assertThat(MetricKind.of("geometry/angle/norm-matched/sd")).isEqualTo(MetricKind.RADIANS);
    assertThat(MetricKind.of("divergence/kl_alone/model.layers.1.mlp.up_proj.weight").unit())
        .isEqualTo("nats");
    assertThat(MetricKind.of("rewards/style/format/mean")).isEqualTo(MetricKind.SCORE);
    for (String unknown : List.of("", "/", "a/b", "pass", "losses", "environment/a/mean")) {
      assertThat(MetricKind.of(unknown)).isEqualTo(MetricKind.NUMBER);
    }
    assertThat(MetricKind.of("policy_loss").hasZero()).isFalse();
    TrainingEvent event = new TrainingEvent.Measured(3, "test", Map.of("kl", 0.5));
    assertThat(event.typed()).containsExactly(new Metric("kl", MetricKind.NATS, 0.5));
  }
}
