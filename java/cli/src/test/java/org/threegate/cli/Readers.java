package org.threegate.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.curvature.Capture;
import org.threegate.analysis.curvature.CurvatureInputs;
import org.threegate.analysis.curvature.CurvatureOptions;
import org.threegate.analysis.curvature.CurvatureStudy;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.curvature.SlopeUnit;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.checkpoint.weight.Weights;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.patch.DigestPolicy;
import org.threegate.patch.InterruptedPatches;
import org.threegate.patch.PatchCreator;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchInPlace;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.PatchSubscriber;
import org.threegate.patch.PatchVerifier;
import org.threegate.patch.PatchVersions;
import org.threegate.patch.WeightPatch;
import org.threegate.report.CurvatureDirectory;
import org.threegate.report.CurvatureReport;
import org.threegate.report.CurvatureText;
import org.threegate.report.Provenance;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.curvature.CaptureFile;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.Sampler;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.run.TrainingConfigs;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;
import org.threegate.rl.train.SupervisedOptions;
import org.threegate.rl.train.SupervisedTrainer;
import org.threegate.rl.train.Trainer;
import org.threegate.run.Progress;

/** All readers of untrusted files, with valid files for each. */
final class Readers {
  private static final Path FIXTURES =
      Path.of(System.getProperty("threegate.root")).resolve("java/rl/src/test/resources");
  private static final Path CHECKPOINTS =
      Path.of(System.getProperty("threegate.root")).resolve("java/checkpoint/src/test/resources");
  private static final String[] RANKS = {
    "model_world_size_2_rank_0.pt", "model_world_size_2_rank_1.pt"
  };
  private static final String WEIGHTS = "model.safetensors";
  private static final String RUN = "a run";

  /** Reads the files in a directory completely, as commands do. */
  @FunctionalInterface
  interface Read {
    void of(Context context, Path directory) throws IOException;
  }

  /**
   * A reader.
   *
   * @param share its share of the cases, relative to the other readers
   * @param valid a directory that is read without an error
   * @param mutated the untrusted files of that directory, which the test mutates
   * @param repaired corrects the checksum of a mutated file, used for half of the mutations
   */
  record Reader(
      String name,
      int share,
      Path valid,
      List<String> mutated,
      UnaryOperator<byte[]> repaired,
      Read read) {}

  private final Path root;
  private final List<Reader> readers = new ArrayList<>();

  private Readers(Path root) {
    this.root = root;
  }

  /** Makes the valid files below a directory. */
  static List<Reader> in(Path root) throws IOException {
    Readers all = new Readers(root);
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      all.checkpoints();
      all.models(context);
      all.texts();
      all.patches(context);
      all.journals(context);
    }
    return List.copyOf(all.readers);
  }

  private void add(String name, int share, Read read, String... mutated) {
    readers.add(
        new Reader(
            name, share, root.resolve(name), List.of(mutated), UnaryOperator.identity(), read));
  }

  private Path made(String name) throws IOException {
    return Files.createDirectories(root.resolve(name));
  }

  private static void copy(Path from, Path to, String... names) throws IOException {
    for (String name : names) {
      Files.copy(from.resolve(name), to.resolve(name));
    }
  }

  // Safetensors, indexes, configurations.

  private void checkpoints() throws IOException {
    weights(1).write(made("safetensors").resolve(WEIGHTS));
    add("safetensors", 8, (context, path) -> tensors(context, path.resolve(WEIGHTS)), WEIGHTS);

    Path index = made("index");
    new SafetensorsWriter()
        .tensor("a.weight", TensorType.F32, List.of(2L, 3L), new byte[24])
        .write(index.resolve("model-00001-of-00002.safetensors"));
    new SafetensorsWriter()
        .tensor("b.weight", TensorType.BF16, List.of(5L), new byte[10])
        .write(index.resolve("model-00002-of-00002.safetensors"));
    Files.writeString(
        index.resolve("model.safetensors.index.json"),
        "{\"metadata\":{\"total_size\":34},\"weight_map\":{"
            + "\"a.weight\":\"model-00001-of-00002.safetensors\","
            + "\"b.weight\":\"model-00002-of-00002.safetensors\"}}");
    add("index", 4, Readers::tensors, "model.safetensors.index.json");

    Path torch = CHECKPOINTS.resolve("torch");
    copy(torch, made("torch"), "under-model.pt");
    add(
        "torch",
        6,
        (context, path) -> tensors(context, path.resolve("under-model.pt")),
        "under-model.pt");

    copy(torch.resolve("ranks"), made("ranks"), RANKS);
    add("ranks", 2, Readers::weights, RANKS);
    copyAll(torch, "ranks-grid", 2);
    copyAll(torch, "dcp-grid", 4);
    copyAll(torch, "dcp-nested", 2);
    copyAll(torch, "zero-2", 2);
    copyAll(torch, "zero-3", 2);

    Path config = made("config");
    copy(FIXTURES.resolve("decoders/qwen3"), config, "config.json", WEIGHTS);
    add("config", 4, Readers::heads, "config.json");
  }

  /** Adds a reader of a checkpoint with several files. */
  private void copyAll(Path from, String name, int share) throws IOException {
    Path to = made(name);
    String[] names = files(from.resolve(name));
    for (String file : names) {
      Files.createDirectories(to.resolve(file).getParent());
      Files.copy(from.resolve(name).resolve(file), to.resolve(file));
    }
    add(name, share, Readers::weights, names);
  }

  private static SafetensorsWriter weights(int seed) {
    Random random = new Random(seed);
    byte[] matrix = new byte[4 * 24];
    byte[] vector = new byte[2 * 7];
    for (int i = 0; i < matrix.length; i++) {
      // This upper byte makes the numbers small and finite.
      matrix[i] = (byte) (i % 4 == 3 ? 0x3D : random.nextInt());
    }
    for (int i = 0; i < vector.length; i++) {
      vector[i] = (byte) (i % 2 == 1 ? 0x3D : random.nextInt());
    }
    return new SafetensorsWriter()
        .metadata("format", "pt")
        .tensor("model.layers.0.mlp.up_proj.weight", TensorType.F32, List.of(4L, 6L), matrix)
        .tensor("model.norm.weight", TensorType.BF16, List.of(7L), vector)
        .tensor("model.none", TensorType.F16, List.of(0L, 3L), new byte[0]);
  }

  private static void tensors(Context context, Path path) {
    try (Checkpoint checkpoint = Checkpoint.open(context, path);
        Control control = Control.open(context)) {
      Digests.of(context, checkpoint, control);
      Architecture architecture = new Architecture(checkpoint.config().orElse(ModelConfig.UNKNOWN));
      for (Tensor tensor : checkpoint.tensors().values()) {
        architecture.kind(tensor.name(), tensor.shape().size());
        architecture.layer(tensor.name());
      }
      checkpoint.check();
    }
  }

  private static void weights(Context context, Path path) {
    try (Checkpoint checkpoint = Checkpoint.open(context, path)) {
      for (Weight weight : Weights.of(checkpoint).byName().values()) {
        weight.entries().open(context).close();
      }
    }
  }

  private static void heads(Context context, Path path) {
    try (Checkpoint checkpoint = Checkpoint.open(context, path)) {
      Architecture architecture = new Architecture(checkpoint.config().orElse(ModelConfig.UNKNOWN));
      for (Tensor tensor : checkpoint.tensors().values()) {
        architecture.heads(
            architecture.kind(tensor.name(), tensor.shape().size()),
            tensor.rows(),
            tensor.columns());
      }
    }
  }

  // Models, adapters, captures, training states and masks.

  private void models(Context context) throws IOException {
    Path llama = FIXTURES.resolve("decoders/llama");
    Path decoder = made("decoder");
    copy(FIXTURES.resolve("decoders/llama-3"), decoder, "config.json", WEIGHTS);
    Files.writeString(
        decoder.resolve("generation_config.json"),
        "{\"bos_token_id\":1,\"eos_token_id\":[2,3],\"pad_token_id\":0,\"temperature\":0.6,"
            + "\"top_p\":0.9,\"top_k\":5,\"max_length\":32}");
    add("decoder", 3, Readers::generate, "config.json", "config.json", "generation_config.json");

    Path weights = made("decoder-weights");
    copy(llama, weights, "config.json", WEIGHTS);
    add("decoder-weights", 2, Readers::generate, WEIGHTS);

    Path adapter = made("adapter");
    copy(FIXTURES.resolve("adapters/lora"), adapter, Checkpoint.ADAPTER_CONFIG);
    copy(FIXTURES.resolve("adapters/lora"), adapter, Checkpoint.ADAPTER_WEIGHTS);
    add(
        "adapter",
        3,
        (own, path) -> adapter(own, llama, path),
        Checkpoint.ADAPTER_CONFIG,
        Checkpoint.ADAPTER_WEIGHTS);

    try (Decoder model = Decoder.load(context, llama)) {
      CaptureFile.write(
          model,
          List.of(new CapturedLayers.Text(new int[] {3, 4, 5, 6}, 2)),
          name -> name.endsWith("o_proj.weight"),
          true,
          1,
          made("capture").resolve("capture.safetensors"));
      add("capture", 2, Readers::capture, "capture.safetensors");
      curvatureJournal(context, model, llama);
      try (Trainer trainer = trainer(model)) {
        trainer.next();
        trainer.save(made("training").resolve("state.safetensors"), RUN);
      }
      add("training", 1, (own, path) -> resume(own, llama, path), "state.safetensors");
    }
    Path mask = made("mask");
    CommandRun made =
        CommandRun.of("mask", llama, "--kind", "random", "--out", mask.resolve("mask.safetensors"));
    if (made.code() != 0) {
      throw new IllegalStateException(made.err());
    }
    add("mask", 3, Readers::mask, "mask.safetensors");
  }

  private static void generate(Context context, Path path) {
    try (Decoder decoder = Decoder.load(context, path)) {
      Sampler.complete(
          decoder,
          List.of(new int[] {3, 4, 5}),
          SamplingOptions.plain(2, decoder.config().tokens().ends()),
          new long[] {1});
    }
  }

  private static void adapter(Context context, Path model, Path path) {
    try (Adapter adapter = Adapter.open(context, path);
        Decoder decoder = Decoder.load(context, model)) {
      adapter.updates();
      adapter.replaced();
      LowRankAdapter.read(context, decoder, path);
      Sampler.complete(
          decoder, List.of(new int[] {3, 4}), SamplingOptions.plain(1, List.of(2)), new long[] {1});
    }
  }

  private static void capture(Context context, Path path) {
    try (Capture capture = Capture.open(context, path.resolve("capture.safetensors"))) {
      capture.layers().forEach(layer -> Arrays.stream(layer.sequences()).max());
      capture.check();
    }
  }

  /** Adds a reader of curvature journals, which also renders the report. */
  private void curvatureJournal(Context context, Decoder decoder, Path llama) throws IOException {
    Path capture = root.resolve("curvature-capture.safetensors");
    List<CapturedLayers.Text> texts = new ArrayList<>();
    for (int i = 3; i < 7; i++) {
      texts.add(new CapturedLayers.Text(new int[] {i, i + 1, i + 2, 4}, 2));
    }
    CaptureFile.write(
        decoder, texts, name -> name.endsWith("0.self_attn.o_proj.weight"), true, 1, capture);
    Path tuned = root.resolve("curvature-tuned");
    try (Checkpoint model = Checkpoint.open(context, llama)) {
      Map<String, SafetensorsWriter.Data> changed = new HashMap<>();
      for (Tensor tensor : model.tensors().values()) {
        if (tensor.name().endsWith("o_proj.weight")) {
          changed.put(tensor.name(), out -> out.write(tripled(tensor)));
        }
      }
      ModelCopy.write(model, changed, tuned);
    }
    Path journal = made("curvature-journal").resolve("journal");
    curvature(context, capture, llama, tuned, journal);
    add(
        "curvature-journal",
        1,
        (own, path) -> curvature(own, capture, llama, tuned, path.resolve("journal")),
        "journal");
  }

  private static ByteBuffer tripled(Tensor tensor) {
    ByteBuffer values =
        ByteBuffer.allocate(Math.toIntExact(tensor.bytes())).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : tensor.file().buffer().getFloats(tensor.offset(), tensor.elements())) {
      values.putFloat(3 * value);
    }
    return values.flip();
  }

  private static void curvature(Context context, Path capture, Path base, Path tuned, Path journal)
      throws IOException {
    CurvatureOptions options = new CurvatureOptions(0.1, 0.5, 2, 2, SlopeUnit.TOKEN, 1e-6, 0);
    try (Capture samples = Capture.open(context, capture);
        Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned);
        Control control = Control.open(context);
        Journal<LayerCurvature> finished =
            Journal.open(journal, LayerCurvature.class, RUN, Files.exists(journal))) {
      CurvatureStudy study =
          CurvatureStudy.of(
              context,
              new CurvatureInputs(samples, before, after, name -> true),
              options,
              finished,
              Progress.NONE,
              control);
      CurvatureReport report =
          new CurvatureReport(
              new Provenance("0", List.of(), 0),
              "capture",
              "base",
              "tuned",
              "own",
              "token",
              Optional.empty(),
              study,
              study.findings());
      CurvatureText.render(report);
      CurvatureDirectory.write(report, journal.resolveSibling("report"));
    }
  }

  private static void mask(Context context, Path path) {
    MaskFile.read(context, path.resolve("mask.safetensors"))
        .entries()
        .forEach(entry -> entry.mask().count());
  }

  private static Trainer trainer(Decoder model) {
    return SupervisedTrainer.of(
        model,
        new Letters(),
        SupervisedTrainer.Source.of(List.of(new Demonstration("vw", "d")), 5),
        new SupervisedOptions(4, 1, 3, true, 8, 0.01, Schedule.cosine(2, 4, 0.1), AdamW.DEFAULT, 1),
        Map.of());
  }

  private static void resume(Context context, Path model, Path path) {
    Path state = path.resolve("state.safetensors");
    Trainer.savedStep(context, state);
    try (Decoder decoder = Decoder.load(context, model);
        Trainer trainer = trainer(decoder)) {
      trainer.resume(context, state, RUN);
      if (!trainer.isDone()) {
        trainer.next();
      }
    }
  }

  private static final class Letters implements Tokenizer {
    @Override
    public int[] encode(String text) {
      return text.chars().map(c -> c - 'a').toArray();
    }

    @Override
    public String decode(int[] tokens) {
      return "";
    }
  }

  // Tokenizers, chat templates, problems and configurations.

  private void texts() throws IOException {
    try (Stream<Path> models = Files.list(FIXTURES.resolve("tokenizers"))) {
      for (Path model : models.sorted().toList()) {
        String name = "tokenizer-" + model.getFileName().toString().replace(".json", "");
        Files.copy(model, made(name).resolve("tokenizer.json"));
        Files.writeString(
            made(name).resolve("tokenizer_config.json"),
            "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"},\"extra_special_tokens\":[\"a\"],"
                + "\"clean_up_tokenization_spaces\":true}");
        add(name, 1, Readers::tokens, "tokenizer.json", "tokenizer_config.json");
      }
    }
    for (String template : List.of("chatml", "headers", "thinking")) {
      Path path = made("template-" + template);
      copy(FIXTURES.resolve("templates"), path, template + ".jinja");
      Files.move(path.resolve(template + ".jinja"), path.resolve("chat_template.jinja"));
      Files.writeString(
          path.resolve("tokenizer_config.json"),
          "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\",\"lstrip\":false},"
              + "\"chat_template\":[{\"name\":\"default\",\"template\":\"{{ bos_token }}\"}]}");
      add(
          "template-" + template,
          1,
          Readers::prompt,
          "chat_template.jinja",
          "chat_template.jinja",
          "tokenizer_config.json");
    }
    Files.writeString(
        made("problems").resolve("problems.jsonl"),
        "{\"prompt\":\"2+2=\",\"answer\":\"4\",\"kind\":\"sum\"}\n"
            + "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"answer\":5}\n"
            + "{\"prompt\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"data_source\":\"gsm\","
            + "\"reward_model\":{\"ground_truth\":\"7\"}}\n");
    add("problems", 3, Readers::problems, "problems.jsonl");
    Files.writeString(made("settings").resolve("run.yaml"), TrainingConfigs.example());
    add(
        "settings",
        3,
        (context, path) -> TrainingConfigs.read(path.resolve("run.yaml"), Map.of(), "options"),
        "run.yaml");
  }

  private static void tokens(Context context, Path path) {
    try (Tokenizer tokenizer = JsonTokenizer.load(path)) {
      int[] tokens = tokenizer.encode("The quick e\u0301 \ufb01 12\n  x<s> mask");
      tokenizer.decode(tokens);
      tokenizer.text(tokenizer.surrounding().around(tokens));
    }
  }

  private static void prompt(Context context, Path path) {
    ChatTemplate.load(path)
        .ifPresent(
            template ->
                template.prompt(
                    List.of(new Message("system", "Be brief."), new Message("user", "Hi"))));
  }

  private static void problems(Context context, Path path) {
    ProblemFile.read(path.resolve("problems.jsonl")).forEach(Problem::messages);
  }

  // Patches, their journals and directories of versions.

  private void patches(Context context) throws IOException {
    Path base = made("patch-base").resolve(WEIGHTS);
    Path tuned = made("patch-tuned").resolve(WEIGHTS);
    weights(1).write(base);
    weights(2).write(tuned);
    try (Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned)) {
      for (PatchFormat format : PatchFormat.values()) {
        Path out = made("patch-" + format.label()).resolve("patch");
        new PatchCreator(context, PatchOptions.of(format).withVersions(new PatchVersions(1, 2)))
            .create(before, after, out, Progress.NONE);
        add(
            "patch-" + format.label(),
            2,
            (own, path) -> patch(own, base, path.resolve("patch")),
            files(out.getParent()));
      }
    }
    Path planar = root.resolve("patch-planar/patch");
    Path interrupted = made("patch-journal");
    copy(base.getParent(), interrupted, WEIGHTS);
    InterruptedPatches.leave(context, interrupted, planar);
    readers.add(
        new Reader(
            "patch-journal",
            1,
            interrupted,
            List.of(InterruptedPatches.JOURNAL),
            Readers::summed,
            (own, path) -> new PatchInPlace(own, path).recover()));

    Path versions = Files.createDirectories(made("versions").resolve("published"));
    Path first = Files.createDirectory(versions.resolve("weight_v000001"));
    copy(base.getParent(), first, WEIGHTS);
    Path second = Files.createDirectory(versions.resolve("weight_v000002"));
    Files.copy(planar, second.resolve("patch.safetensors"));
    Path model = Files.createDirectory(root.resolve("versions/model"));
    copy(base.getParent(), model, WEIGHTS);
    Files.writeString(model.resolve(".threegate-version"), "1\n");
    add(
        "versions",
        1,
        (own, path) ->
            new PatchSubscriber(own, path.resolve("published"), path.resolve("model")).update(),
        files(root.resolve("versions")));
  }

  private static String[] files(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> directory.relativize(file).toString())
          .sorted()
          .toArray(String[]::new);
    }
  }

  private static void patch(Context context, Path base, Path path) throws IOException {
    try (WeightPatch patch = WeightPatch.open(context, path, DigestPolicy.IF_PRESENT);
        Checkpoint before = Checkpoint.open(context, base)) {
      new PatchVerifier(patch).verify(before, Progress.NONE);
    }
  }

  /** Returns the journal with a correct checksum at its end. */
  private static byte[] summed(byte[] journal) {
    if (journal.length < Long.BYTES) {
      return journal;
    }
    CRC32C sum = new CRC32C();
    sum.update(journal, 0, journal.length - Long.BYTES);
    byte[] repaired = journal.clone();
    ByteBuffer.wrap(repaired).putLong(journal.length - Long.BYTES, sum.getValue());
    return repaired;
  }

  // Journals of comparisons.

  private void journals(Context context) throws IOException {
    Path journal = made("journal").resolve("journal");
    Path base = root.resolve("patch-base").resolve(WEIGHTS);
    Path tuned = root.resolve("patch-tuned").resolve(WEIGHTS);
    try (Journal<Comparison.Finished> all =
        Journal.open(journal, Comparison.Finished.class, RUN, false)) {
      compare(context, base, tuned, all);
    }
    add(
        "journal",
        1,
        (own, path) -> {
          try (Journal<Comparison.Finished> found =
              Journal.open(path.resolve("journal"), Comparison.Finished.class, RUN, true)) {
            compare(own, base, tuned, found);
          }
        },
        "journal");
  }

  private static void compare(
      Context context, Path base, Path tuned, Journal<Comparison.Finished> journal)
      throws IOException {
    try (Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned);
        Control control = Control.open(context)) {
      new Comparison(
              context,
              control,
              before,
              after,
              new Comparison.Wanted(DigestKind.TENSORS, Optional.empty()))
          .run(Pairing.of(before, after, name -> true), journal, Progress.NONE);
    }
  }
}
