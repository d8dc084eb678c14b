package org.threegate.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.Identity;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorFile;
import org.threegate.checkpoint.weight.Weights;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate inspect}. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = "List the tensors of a checkpoint and check every rule of the file format.",
    footer = {
      "",
      "Examples:",
      "  threegate inspect model.safetensors",
      "  threegate inspect Qwen2.5-1.5B/",
      "  threegate inspect Qwen2.5-1.5B/ --digest sha256"
    })
final class InspectCommand implements Callable<Integer> {
  private static final int SHOWN = 1000; // characters of a value of the metadata

  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      paramLabel = "FILE",
      description =
          "A .safetensors file, a file of torch, a sharded *.index.json file, a directory of a model"
              + " or of a training run's checkpoint, or an adapter.")
  private Path file;

  @Mixin private IdentityMixin.OnDemand digest = new IdentityMixin.OnDemand();

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    try (Context context = Context.open(Context.Device.CPU, 0);
        Checkpoint checkpoint = Checkpoint.open(context, file)) {
      ModelConfig config = checkpoint.config().orElse(ModelConfig.UNKNOWN);
      Architecture architecture = new Architecture(config);
      Map<String, Long> byType = new TreeMap<>();
      for (Tensor tensor : checkpoint.tensors().values()) {
        byType.merge(tensor.type().name(), tensor.elements(), Long::sum);
        out.printf(
            "%-10s %-10s %-22s %s%n",
            tensor.type(),
            architecture.kind(tensor.name(), tensor.shape().size()).label(),
            tensor.shape(),
            PrintableText.of(tensor.name()));
      }
      for (TensorFile part : checkpoint.files()) {
        out.printf(
            "%s: %,d bytes, valid%n", PrintableText.of(part.path().toString()), part.bytes());
        part.metadata()
            .forEach((key, value) -> out.printf("  %s: %s%n", PrintableText.of(key), shown(value)));
      }
      checkpoint
          .others()
          .forEach(
              (name, what) ->
                  out.printf("  %s: %s%n", PrintableText.name(name), PrintableText.of(what)));
      checkpoint
          .config()
          .ifPresent(
              found ->
                  out.printf(
                      "config: %s, %s layers, %s heads, %s key-value heads, head dimension %s%s%n",
                      found.modelType().isEmpty() ? "unnamed" : PrintableText.of(found.modelType()),
                      text(found.layers()),
                      text(found.heads().queries()),
                      text(found.heads().keyValues()),
                      text(found.heads().dimension()),
                      found.embeddings() == ModelConfig.Embeddings.TIED
                          ? ", tied embeddings"
                          : ""));
      out.printf(
          "%,d parameters in %,d tensors %s%n",
          checkpoint.parameters(), checkpoint.tensors().size(), byType);
      describe(out, Weights.of(checkpoint));
      digest(out, context, checkpoint);
    }
    return 0;
  }

  private void digest(PrintWriter out, Context context, Checkpoint checkpoint) {
    try (Control control = Control.open(context)) {
      Identity identity = Digests.identity(context, digest.kind(), checkpoint, control);
      checkpoint.check();
      identity.sha256().ifPresent(value -> out.printf("sha256 of the tensors: %s%n", value));
      identity.blake3().ifPresent(value -> out.printf("blake3 of the tensors: %s%n", value));
      identity
          .files()
          .forEach(one -> out.printf("%s  %s%n", one.sha256(), PrintableText.name(one.file())));
    }
  }

  /** Prints what a comparison would make of tensors that are not stored as floats. */
  private static void describe(PrintWriter out, Weights weights) {
    Map<String, Long> layouts = new TreeMap<>();
    weights.byName().values().stream()
        .filter(weight -> weight.sources().size() > 1)
        .forEach(weight -> layouts.merge(weight.storedAs(), 1L, Long::sum));
    layouts.forEach((layout, count) -> out.printf("%,d weights stored as %s%n", count, layout));
    weights
        .refused()
        .forEach(
            (name, reason) ->
                out.printf("refused: %s: %s%n", PrintableText.of(name), PrintableText.of(reason)));
  }

  /** Returns the start of a value of the metadata, which may be megabytes long. */
  private static String shown(String value) {
    return value.length() <= SHOWN
        ? PrintableText.of(value)
        : String.format(
            "%s… (%,d characters)", PrintableText.of(value.substring(0, SHOWN)), value.length());
  }

  private static String text(java.util.OptionalInt value) {
    return value.isPresent() ? Integer.toString(value.getAsInt()) : "?";
  }
}
