package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.IntConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.intervention.Intervention;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.Decoder;
import org.threegate.run.InvalidInputException;

/**
 * Tests that the table of docs/families.md is what the commands make of models of these families.
 * Names, shapes and configurations are those of small models of transformers, which {@code
 * src/test/python/families.py} collects; the entries are random. A run writes the table to {@code
 * target/families.md}.
 */
class FamiliesTest {
  private static final Set<TensorKind> PLAIN =
      Set.of(TensorKind.NORM, TensorKind.BIAS, TensorKind.EMBED, TensorKind.LM_HEAD);
  private static final Pattern EXPERT = Pattern.compile("\\.experts\\.(\\d+)\\.|\\[(\\d+)\\]");
  private static final Pattern SUFFIX = Pattern.compile("(\\[\\w+\\])+$");

  @TempDir Path directory;

  /** What the commands make of one model. */
  private static final class Row {
    private final Checkpoint model;
    private final Architecture architecture;
    private final ModelConfig config;
    private final Set<String> kinds = new TreeSet<>();
    private final Map<String, Integer> heads = new TreeMap<>();
    private final Set<String> transposed = new LinkedHashSet<>();
    private final Set<String> others = new TreeSet<>();
    private final Set<Integer> layers = new HashSet<>();
    private final Set<String> experts = new HashSet<>();
    private final boolean head;
    private int apart;
    private int compared;

    Row(Checkpoint model) {
      this.model = model;
      this.config = model.config().orElseThrow();
      this.architecture = new Architecture(config);
      List<WeightPair> pairs = Pairing.of(model, model, name -> true).pairs();
      pairs.forEach(this::add);
      requireEachEntryOnce(pairs);
      this.head = pairs.stream().anyMatch(pair -> pair.kind() == TensorKind.LM_HEAD);
    }

    /** The parts of a tensor are measured without gaps and without overlaps. */
    private void requireEachEntryOnce(List<WeightPair> pairs) {
      Map<String, BitSet> covered = new TreeMap<>();
      for (WeightPair pair : pairs) {
        pair.place()
            .ifPresent(
                place -> {
                  BitSet entries = covered.computeIfAbsent(place.weight(), name -> new BitSet());
                  List<Long> shape = model.tensors().get(place.weight()).shape();
                  long width = shape.get(shape.size() - 1);
                  assertThat(place.rows().size()).isEqualTo(pair.rows());
                  assertThat(place.columns().size()).isEqualTo(pair.columns());
                  for (long i = 0; i < pair.rows() * pair.columns(); i++) {
                    long row = place.rows().at(i / pair.columns());
                    long column = place.columns().at(i % pair.columns());
                    int entry = Math.toIntExact(row * width + column);
                    if (entries.get(entry)) {
                      throw new AssertionError(pair.name() + " has entry " + entry + " twice");
                    }
                    entries.set(entry);
                  }
                });
      }
      covered.forEach(
          (name, entries) ->
              assertThat((long) entries.cardinality())
                  .as(name)
                  .isEqualTo(entries.length())
                  .isEqualTo(model.tensors().get(name).elements()));
    }

    private void add(WeightPair pair) {
      pair.layer().ifPresent(layers::add);
      if (pair.dimensions() < 2) {
        return;
      }
      compared++;
      if (PLAIN.contains(pair.kind())) {
        return;
      }
      String stored = SUFFIX.matcher(pair.name()).replaceFirst("");
      apart += architecture.isApart(stored) ? 1 : 0;
      if (pair.kind() == TensorKind.OTHER) {
        others.add(stored.replaceFirst("^.*\\.\\d+\\.", "").replaceFirst("\\.weight$", ""));
        return;
      }
      String kind = pair.kind().label();
      int dimensions = model.tensors().get(stored).shape().size();
      String whole = architecture.kind(stored, dimensions).label();
      kinds.add(kind.equals(whole) ? kind : kind + " in " + whole);
      if (pair.stored().transposed()) {
        transposed.add(whole);
      }
      if (!pair.heads().isEmpty()) {
        heads.merge(kind, pair.heads().size(), Math::max);
      }
      Matcher expert = EXPERT.matcher(pair.name());
      if (expert.find()) {
        experts.add(expert.group(1) == null ? expert.group(2) : expert.group(1));
      }
    }

    private boolean accepts(IntConsumer change) {
      try {
        layers.forEach(change::accept);
        return !layers.isEmpty();
      } catch (InvalidInputException e) {
        return false;
      }
    }

    private String interventions() {
      Intervention intervention = new Intervention(model, 1);
      List<String> accepted = new ArrayList<>();
      if (accepts(
          layer -> assertThat(intervention.rotateValues(layer).exactError()).isLessThan(1e-9))) {
        accepted.add("rotate");
      }
      if (accepts(
          layer -> assertThat(intervention.permuteHeads(layer).exactError()).isLessThan(1e-9))) {
        accepted.add("permute");
      }
      return join(accepted);
    }

    private boolean trains(Context context) {
      try {
        Decoder.load(context, model.path()).close();
        return true;
      } catch (InvalidInputException e) {
        return false;
      }
    }

    String line(String family, Context context) {
      assertThat(Pairing.matrices(model, name -> true).pairs()).as("masks").hasSize(compared);
      List<String> counted = new ArrayList<>();
      heads.forEach((kind, count) -> counted.add(kind + " " + count));
      return "| "
          + String.join(
              " | ",
              "`" + family + "`",
              Integer.toString(layers.size()),
              join(kinds),
              join(counted),
              experts.isEmpty() ? "–" : Integer.toString(experts.size()),
              config.embeddings().areTied(head) ? "yes" : "–",
              join(transposed),
              apart == 0 ? "–" : Integer.toString(apart),
              join(others),
              Integer.toString(compared),
              interventions(),
              trains(context) ? "yes" : "–")
          + " |";
    }

    private static String join(Iterable<String> words) {
      String joined = String.join(", ", words);
      return joined.isEmpty() ? "–" : joined;
    }
  }

  /** Writes a model of random entries of bf16. */
  private Path write(String family, JsonNode model, Random random) throws IOException {
    Path path = Files.createDirectories(directory.resolve(family));
    Files.writeString(path.resolve("config.json"), model.path("config").toString());
    SafetensorsWriter writer = new SafetensorsWriter();
    for (Map.Entry<String, JsonNode> tensor : model.path("tensors").properties()) {
      TensorType type = TensorType.BF16;
      List<Long> shape = new ArrayList<>();
      for (JsonNode size : tensor.getValue()) {
        if (size.isTextual()) {
          type = TensorType.valueOf(size.asText());
        } else {
          shape.add(size.asLong());
        }
      }
      long entries = shape.stream().reduce(1L, Math::multiplyExact);
      byte[] bytes = new byte[Math.toIntExact(entries * type.bits() / 8)];
      random.nextBytes(bytes);
      for (int i = 1; i < bytes.length; i += 2) {
        bytes[i] = (byte) (bytes[i] & 0x80 | 0x3d); // a magnitude near 1/16
      }
      writer.tensor(tensor.getKey(), type, shape, bytes);
    }
    writer.write(path.resolve("model.safetensors"));
    return path;
  }

  @Test
  void theTableOfTheDocumentationIsWhatTheCommandsMakeOfThem() throws IOException {
    JsonNode models =
        new ObjectMapper().readTree(Path.of("src/test/resources/families/families.json").toFile());
    List<String> lines = new ArrayList<>();
    Random random = new Random(1);
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      for (Map.Entry<String, JsonNode> model : models.properties()) {
        Path path = write(model.getKey(), model.getValue(), random);
        try (Checkpoint checkpoint = Checkpoint.open(context, path)) {
          lines.add(new Row(checkpoint).line(model.getKey(), context));
        }
        AtomicFiles.deleteDirectory(path);
      }
    }
    assertThat(lines).hasSizeGreaterThan(80);
    Files.write(Path.of("target/families.md"), lines);
    Path page = Path.of(System.getProperty("threegate.root")).resolve("docs/families.md");
    List<String> rows =
        Files.readAllLines(page).stream().filter(line -> line.startsWith("| `")).toList();
    assertThat(rows).containsExactlyElementsOf(lines);
  }
}
