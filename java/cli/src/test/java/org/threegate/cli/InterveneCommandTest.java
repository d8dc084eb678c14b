package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.rl.study.BaseModel;

/** Tests that a changed model has the logits of the original, or that it is not written. */
class InterveneCommandTest {
  private static final Pattern CERTIFICATE =
      Pattern.compile("logits of 24 random tokens: relative change (\\S+)");

  /** Tolerance of the logits of a float32 model. */
  private static final double EXACT = 1e-5;

  @TempDir Path directory;

  private static double certificate(CommandRun run) {
    assertThat(run.code()).as(run.err()).isZero();
    Matcher matcher = CERTIFICATE.matcher(run.out());
    assertThat(matcher.find()).as(run.out()).isTrue();
    return Double.parseDouble(matcher.group(1));
  }

  @Test
  void theCertificateIsThatOfTheLogits() throws IOException {
    Path base = directory.resolve("base");
    BaseModel.extract(base);
    Path permuted = directory.resolve("permuted");
    Path rotated = directory.resolve("rotated");
    double ofPermuted =
        certificate(
            CommandRun.of(
                "intervene", base, "--permute-heads", "--layers", "all", "--out", permuted));
    double ofRotated =
        certificate(
            CommandRun.of("intervene", base, "--rotate-vo", "--layers", "all", "--out", rotated));
    assertThat(ofPermuted).isPositive().isLessThan(EXACT);
    // Rotated weights are rounded to bf16 once more.
    assertThat(ofRotated).isBetween(EXACT, 0.1);
  }

  /** Permuted heads say nothing about training, so that they support and contradict nothing. */
  @Test
  void permutedHeadsGetNoVerdict() throws IOException {
    Path base = directory.resolve("base");
    BaseModel.extract(base);
    Path permuted = directory.resolve("permuted");
    assertThat(
            CommandRun.of(
                    "intervene", base, "--permute-heads", "--layers", "all", "--out", permuted)
                .code())
        .isZero();
    Path report = directory.resolve("report");
    CommandRun run =
        CommandRun.of(
            "compare", base, permuted, "--include", "o_proj", "--draws", 4, "--out", report);
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out())
        .contains("is only a permutation of rows or columns")
        .doesNotContain("[contradicted]")
        .doesNotContain("[supported]");
  }

  @Test
  void aModelThatIsNotRunHereIsSaidNotToBe() throws IOException {
    Path base = directory.resolve("base");
    BaseModel.extract(base);
    Path config = base.resolve("config.json");
    Files.writeString(config, Files.readString(config).replace("\"llama\"", "\"cwm\""));
    CommandRun run =
        CommandRun.of(
            "intervene", base, "--rotate-vo", "--layers", "0", "--out", directory.resolve("out"));
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out()).contains("logits: not compared", "model_type \"cwm\"");
  }

  /** A tensor in the attention that the certificate does not know of is refused by name. */
  @Test
  void aRefusedModelIsNotWritten() throws IOException {
    Path base = directory.resolve("base");
    BaseModel.extract(base);
    Path config = base.resolve("config.json");
    Files.writeString(config, Files.readString(config).replaceFirst("\\{", "{\"clip_qkv\": 1.0,"));
    Path out = directory.resolve("out");
    CommandRun.of("intervene", base, "--rotate-vo", "--layers", "0", "--out", out)
        .assertRefused("config.json", "clip_qkv");
    assertThat(out).doesNotExist();
  }

  private static final String SCRIPT =
      """
      import importlib.util, sys
      spec = importlib.util.spec_from_file_location("families", sys.argv[1])
      families = importlib.util.module_from_spec(spec)
      spec.loader.exec_module(families)
      if sys.argv[2] == "--make":
          for name in sys.argv[4:]:
              families.make(sys.argv[3], name)
      elif sys.argv[2] == "--names":
          print(" ".join(families.F))
      else:
          for name in sys.argv[4:]:
              base = families.logits(f"{sys.argv[3]}/{name}/base32")
              for change in "rotate-vo", "permute-heads":
                  path = f"{sys.argv[3]}/{name}/{change}"
                  if families.os.path.exists(path):
                      other = families.logits(path)
                      print("DISTANCE", name, change, float((base - other).norm() / base.norm()))
      """;

  /** What must be written or named, for families that are always tried. */
  private static final Map<String, String> EXPECTED =
      Map.of(
          "llama", "",
          "qwen2", "",
          "qwen3", "",
          "gemma3_text", "",
          "olmo2", "q_norm.weight", // permutations only
          "gpt_oss", "sinks",
          "bitnet", "attn_sub_norm",
          "olmo", "clip_qkv");

  /**
   * Runs random models of other people's families in transformers. {@code
   * -Dthreegate.test.families=all} takes all of them, which takes minutes; a list of names, those.
   */
  @Test
  void transformersComputesTheSameLogits() throws IOException, InterruptedException {
    Path families =
        Path.of(System.getProperty("threegate.root"))
            .resolve("../shared/cases/checkpoints/families.py")
            .normalize();
    if (!Files.exists(families)) {
      System.out.println("SKIPPED, because there is no " + families);
    }
    Assumptions.assumeTrue(Files.exists(families));
    Python python = Python.require("torch, transformers, safetensors");
    Path script = Files.writeString(directory.resolve("families.py"), SCRIPT);
    String selected = System.getProperty("threegate.test.families", "");
    List<String> names =
        selected.isEmpty()
            ? List.copyOf(EXPECTED.keySet())
            : List.of(
                (selected.equals("all")
                        ? python.output(script, families, "--names").strip()
                        : selected)
                    .split("[ ,]+"));
    python.output(script, arguments(families, "--make", names));
    List<String> written = new ArrayList<>();
    for (String name : names) {
      Path model = directory.resolve(name).resolve("base32");
      if (!Files.exists(model)) {
        System.out.println("SKIPPED, because transformers does not make " + name);
        continue;
      }
      for (String change : List.of("rotate-vo", "permute-heads")) {
        Path out = directory.resolve(name).resolve(change);
        CommandRun run =
            CommandRun.of("intervene", model, "--" + change, "--layers", "all", "--out", out);
        if (run.code() == 0) {
          written.add(name + " " + change);
        } else {
          run.assertRefused("");
          System.out.println(name + " " + change + ": " + run.err().strip());
          assertThat(out).doesNotExist();
        }
        if (EXPECTED.containsKey(name)) {
          String named = EXPECTED.get(name);
          boolean both = named.isEmpty() || name.equals("olmo2") && change.equals("rotate-vo");
          assertThat(run.code() == 0).as(name + " " + change + run.err()).isEqualTo(both);
          assertThat(both || run.err().contains(named)).as(run.err()).isTrue();
        }
      }
    }
    String measured = python.output(script, arguments(families, "--compare", names));
    List<String> compared = new ArrayList<>();
    for (String line : measured.lines().filter(line -> line.startsWith("DISTANCE")).toList()) {
      String[] parts = line.split(" ");
      System.out.println(line);
      compared.add(parts[1] + " " + parts[2]);
      assertThat(Double.parseDouble(parts[3])).as(line).isLessThan(EXACT);
    }
    assertThat(compared).containsExactlyElementsOf(written);
  }

  private Object[] arguments(Path families, String what, List<String> names) {
    List<Object> all = new ArrayList<>(List.of(families, what, directory));
    all.addAll(names);
    return all.toArray();
  }
}
