package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.JavadocExamples;

/** Tests that the examples in Javadoc compile, and that the entry classes of the API have one. */
@Tag("binding")
class JavadocExamplesTest {
  private static final Pattern BEGINS_WITH =
      Pattern.compile("^public final class (\\w+)(?! extends)", Pattern.MULTILINE);
  private static final List<String> API =
      List.of(
          "kernel",
          "buffer",
          "calibration",
          "checkpoint",
          "compare",
          "consensus",
          "diff",
          "engine",
          "environment",
          "geometry",
          "mask",
          "nullmodel",
          "pairing",
          "journal",
          "objective",
          "optimizer",
          "patch",
          "policy",
          "report",
          "rl/run",
          "study",
          "task",
          "verifier");

  /** Variables that an example may use without declaring them. */
  private static final String FIELDS =
      """
        static org.threegate.kernel.Context context;
        static org.threegate.kernel.Control control;
        static org.threegate.buffer.NativeBuffer buffer;
        static org.threegate.report.ComparisonReport report;
        static org.threegate.report.ConsensusReport consensusReport;
        static org.threegate.report.CalibrationReport calibrationReport;
        static org.threegate.report.CurvatureReport curvatureReport;
        static org.threegate.report.StudyReport studyReport;
        static org.threegate.analysis.study.StudyResult result;
        static org.threegate.analysis.compare.Comparison.Outcome outcome;
        static org.threegate.rl.policy.Decoder decoder;
        static org.threegate.rl.policy.Padded rows;
        static org.threegate.rl.train.Trainer trainer;
        static org.threegate.rl.event.TrainingObserver lines;
        static org.threegate.rl.policy.Tokenizer tokenizer;
        static org.threegate.rl.verifier.BoundedVerifier verifier;
        static org.threegate.rl.rollout.Rollouts rollouts;
        static org.threegate.rl.environment.BoundedEnvironment environment;
        static org.threegate.rl.train.TrainingOptions options;
        static List<org.threegate.rl.task.Problem> problems;
        static org.bytedeco.pytorch.Tensor tokens;
        static org.bytedeco.pytorch.Tensor mask;
        static Path base;
        static Path tuned;
        static Path directory;
      """;

  @TempDir Path classes;

  /**
   * Returns the sources without those of the modules for Spark and CUDA, which compile their own
   * examples, and of the FFM binding, which needs a newer JDK and runs its example in a test.
   */
  private static Map<String, String> sources() throws IOException {
    return JavadocExamples.sources(
        path ->
            !path.contains("/spark/")
                && !path.contains("/java/cuda/")
                && !path.contains("/binding-ffm/"));
  }

  @Test
  void examplesCompile() throws IOException {
    assertThat(JavadocExamples.compile(sources(), List.of(), FIELDS, classes)).isGreaterThan(8);
  }

  @Test
  void theClassesThatOneBeginsWithHaveAnExample() throws IOException {
    TreeSet<String> without = new TreeSet<>();
    sources()
        .forEach(
            (path, text) -> {
              Matcher type = BEGINS_WITH.matcher(text);
              if (API.stream().anyMatch(name -> path.contains("/" + name + "/"))
                  && type.find()
                  && !text.contains("Exception extends")
                  && !JavadocExamples.EXAMPLE.matcher(text).find()) {
                without.add(type.group(1));
              }
            });
    assertThat(without).isEmpty();
  }
}
