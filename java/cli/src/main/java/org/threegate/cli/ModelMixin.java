package org.threegate.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Optional;
import org.threegate.kernel.Context;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.Tokenizer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Options that select a decoder and its device. */
final class ModelMixin {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Input
  @Parameters(index = "0", paramLabel = "MODEL", description = "The directory of the decoder.")
  private Path model;

  @Input
  @Option(
      names = "--adapter",
      paramLabel = "DIR",
      description = "Add this low-rank adapter to the model.")
  private Optional<Path> adapter = Optional.empty();

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      defaultValue = "cpu",
      description =
          "Device of the model: cpu, cuda, cuda:N or auto. A GPU needs a build with CUDA kernels"
              + " (default: ${DEFAULT-VALUE}).")
  private String device;

  /** Uses an open decoder and its tokenizer. */
  @FunctionalInterface
  interface Use<E extends Exception> {
    void with(Decoder decoder, Tokenizer tokenizer) throws E;
  }

  Path path() {
    return model;
  }

  <E extends Exception> void use(Use<E> use) throws E {
    ModelPlace.use("--device", device);
    try (Context context = Context.open();
        Decoder decoder = Decoder.load(context, model);
        Tokenizer tokenizer = JsonTokenizer.load(model)) {
      PrintWriter err = spec.commandLine().getErr();
      LeftOut.tell(decoder.leftOut(), line -> err.println("threegate: " + line));
      adapter.ifPresent(path -> LowRankAdapter.read(context, decoder, path));
      use.with(decoder, tokenizer);
    }
  }
}
