package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.testing.Seeds;

/**
 * Tests that matrices of zeros and entries that are not numbers leave every mean defined, every
 * field in place, and their names in the report.
 */
class UndefinedMeasuresTest {
  private static final int ROWS = 24;
  private static final int COLUMNS = 16;

  @TempDir Path directory;

  /** What is special in a matrix. */
  private enum Kind {
    PLAIN(""),
    ZERO_BASE("its base is zero"),
    TINY_BASE("its base or its update is too close to zero"),
    ZERO_BOTH("it is unchanged"),
    ZERO_UPDATE("it is unchanged"),
    ZERO_TUNED(""),
    NAN_BASE("it has non-finite entries"),
    INFINITE_TUNED("it has non-finite entries");

    final String reason;

    Kind(String reason) {
      this.reason = reason;
    }
  }

  private record Entries(float[] base, float[] tuned, float[] other) {
    static Entries random(Kind kind, int count, Random random) {
      float[] base = new float[count];
      float[] tuned = new float[count];
      float[] other = new float[count];
      for (int i = 0; i < count; i++) {
        boolean zero = kind == Kind.ZERO_BASE || kind == Kind.ZERO_BOTH;
        base[i] = zero ? 0 : kind == Kind.TINY_BASE ? 1e-44f : (float) random.nextGaussian();
        boolean unchanged = kind == Kind.ZERO_BOTH || kind == Kind.ZERO_UPDATE;
        tuned[i] = unchanged ? base[i] : base[i] + (float) (0.05 * random.nextGaussian());
        other[i] = unchanged ? base[i] : base[i] + (float) (0.05 * random.nextGaussian());
        if (kind == Kind.ZERO_TUNED) {
          tuned[i] = 0;
        }
      }
      if (kind == Kind.NAN_BASE) {
        base[random.nextInt(count)] = Float.NaN;
      }
      if (kind == Kind.INFINITE_TUNED) {
        tuned[random.nextInt(count)] = Float.POSITIVE_INFINITY;
      }
      return new Entries(base, tuned, other);
    }
  }

  private interface Part {
    float[] of(Entries entries);
  }

  private Path write(String file, Map<String, Entries> all, Part part) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    all.forEach(
        (name, entries) -> {
          float[] values = part.of(entries);
          ByteBuffer bytes =
              ByteBuffer.allocate(Float.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
          bytes.asFloatBuffer().put(values);
          boolean matrix = name.endsWith("weight");
          writer.tensor(
              name,
              TensorType.F32,
              matrix ? List.of((long) ROWS, (long) COLUMNS) : List.of((long) values.length),
              bytes.array());
        });
    Path path = directory.resolve(file);
    writer.write(path);
    return path;
  }

  private static String name(int layer, Kind kind) {
    return "model.layers." + layer + ".mlp.up_proj." + (kind == null ? "bias" : "weight");
  }

  private static void assertNumbers(String text) {
    assertThat(text).doesNotContain("NaN").doesNotContainIgnoringCase("infinity");
  }

  private static Set<String> keys(JsonNode node) {
    Set<String> keys = new TreeSet<>();
    node.fieldNames().forEachRemaining(keys::add);
    return keys;
  }

  private JsonNode compare(String out, Path base, Path tuned) throws IOException {
    Path report = directory.resolve(out);
    CommandRun run = CommandRun.of("compare", base, tuned, "--out", report);
    assertThat(run.code()).as(run.err()).isZero();
    assertNumbers(run.out());
    String json = Files.readString(report.resolve("report.json"));
    assertNumbers(json);
    return new ObjectMapper().readTree(json);
  }

  @Test
  void meansAreOverWhatIsDefined() throws IOException {
    Random random = Seeds.random("undefined");
    Map<String, Entries> all = new LinkedHashMap<>();
    Map<String, Entries> plain = new LinkedHashMap<>();
    Map<String, String> reasons = new LinkedHashMap<>();
    List<Kind> kinds = new ArrayList<>(List.of(Kind.values()));
    kinds.add(Kind.PLAIN);
    kinds.add(Kind.values()[random.nextInt(Kind.values().length)]);
    java.util.Collections.shuffle(kinds, random);
    for (int layer = 0; layer < kinds.size(); layer++) {
      Kind kind = kinds.get(layer);
      Entries entries = Entries.random(kind, ROWS * COLUMNS, random);
      all.put(name(layer, kind), entries);
      all.put(name(layer, null), Entries.random(Kind.ZERO_BASE, ROWS, random));
      if (kind.reason.isEmpty()) {
        plain.put(name(layer, kind), entries);
      } else {
        reasons.put(name(layer, kind), kind.reason);
      }
    }
    Path base = write("base.safetensors", all, Entries::base);
    Path tuned = write("tuned.safetensors", all, Entries::tuned);
    Path other = write("other.safetensors", all, Entries::other);
    JsonNode report = compare("report", base, tuned);
    Map<String, String> excluded = new LinkedHashMap<>();
    report
        .path("summary")
        .path("excluded")
        .forEach(note -> excluded.put(note.path("tensor").asText(), note.path("reason").asText()));
    assertThat(excluded).containsExactlyInAnyOrderEntriesOf(reasons);
    Set<String> ofTensor = keys(report.path("tensors").path(0));
    Set<String> ofDiff = keys(report.path("tensors").path(0).path("diff"));
    for (JsonNode tensor : report.path("tensors")) {
      assertThat(keys(tensor)).isEqualTo(ofTensor);
      assertThat(keys(tensor.path("diff"))).isEqualTo(ofDiff);
      String name = tensor.path("name").asText();
      assertThat(tensor.path("spectrum").isObject()).as(name).isEqualTo(plain.containsKey(name));
    }
    JsonNode ofPlain =
        compare(
            "plain",
            write("plain-base.safetensors", plain, Entries::base),
            write("plain-tuned.safetensors", plain, Entries::tuned));
    for (String field : List.of("nss", "angleMaxDegrees", "gapLimited", "findings")) {
      assertThat(report.path("summary").path(field))
          .as(field)
          .isEqualTo(ofPlain.path("summary").path(field));
    }
    assertThat(report.path("summary").path("nss").path("median").isNumber()).isTrue();
    assertThat(report.path("summary").path("relativeFrobenius").isNumber()).isTrue();
    consensus(base, tuned, other);
    consensus(base, tuned, other, "--trajectory", "--steps", "1,2");
  }

  private void consensus(Object... arguments) throws IOException {
    List<Object> line = new ArrayList<>(List.of("consensus"));
    line.addAll(List.of(arguments));
    Path out = directory.resolve("consensus-" + arguments.length);
    line.addAll(List.of("--out", out));
    CommandRun run = CommandRun.of(line.toArray());
    assertThat(run.code()).as(run.err()).isZero();
    assertNumbers(run.out());
    assertNumbers(Files.readString(out.resolve("consensus.json")));
  }

  @Test
  void aModelOfZerosHasAReport() throws IOException {
    Map<String, Entries> all = new LinkedHashMap<>();
    Random random = Seeds.random("zeros");
    for (int layer = 0; layer < 2; layer++) {
      all.put(name(layer, Kind.ZERO_BASE), Entries.random(Kind.ZERO_BASE, ROWS * COLUMNS, random));
    }
    JsonNode report =
        compare(
            "report",
            write("base.safetensors", all, Entries::base),
            write("tuned.safetensors", all, Entries::tuned));
    JsonNode summary = report.path("summary");
    for (String field : List.of("relativeFrobenius", "nss", "angleMaxDegrees")) {
      assertThat(summary.has(field)).as(field).isTrue();
      assertThat(summary.path(field).isNull()).as(field).isTrue();
    }
    assertThat(summary.path("excluded")).hasSize(2);
    assertThat(summary.path("findings")).isEmpty();
  }

  @Test
  void masksAreOfMatricesThatHaveAnOrder() throws IOException {
    Random random = Seeds.random("undefined masks");
    Map<String, Entries> all = new LinkedHashMap<>();
    all.put(name(0, Kind.PLAIN), Entries.random(Kind.PLAIN, ROWS * COLUMNS, random));
    all.put(name(1, Kind.ZERO_BASE), Entries.random(Kind.ZERO_BASE, ROWS * COLUMNS, random));
    Path base = write("base.safetensors", all, Entries::base);
    Path mask = directory.resolve("mask.safetensors");
    CommandRun run = CommandRun.of("mask", base, "--kind", "safe", "--out", mask);
    assertThat(run.code()).as(run.err()).isZero();
    String zero = name(1, Kind.ZERO_BASE);
    assertThat(run.out()).contains("384 of 768 entries in 1 of 2 tensors have a mask");
    assertThat(run.out().replaceAll("\\s+", " ")).contains("all entries are zero").contains(zero);
    CommandRun inspected = CommandRun.of("mask", "--inspect", mask);
    assertThat(inspected.out().replaceAll("\\s+", " ")).contains("all entries are zero");

    all.put(name(2, Kind.NAN_BASE), Entries.random(Kind.NAN_BASE, ROWS * COLUMNS, random));
    Path damaged = write("nan.safetensors", all, Entries::base);
    CommandRun refused = CommandRun.of("mask", damaged, "--kind", "low", "--out", mask);
    assertThat(refused.code()).isNotZero();
    assertThat(refused.err())
        .contains(damaged.toString(), name(2, Kind.NAN_BASE), "is not finite", "leave it out");
  }
}
