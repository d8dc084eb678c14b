package org.threegate.rl.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.kernel.Context;
import org.threegate.rl.adapter.AdapterOptions;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.event.StepDetails;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Scopes;
import org.threegate.testing.Browser;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
class ObserversTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");

  @TempDir Path directory;

  private static TrainingEvent skipped(long step) {
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("reward", 0.25);
    metrics.put("loss", Double.NaN);
    return new TrainingEvent.StepSkipped(step, "all alike", metrics);
  }

  @Test
  void linesGoOnAfterTheStepThatIsResumed() throws IOException {
    Path path = directory.resolve("metrics.jsonl");
    try (JsonLines lines = JsonLines.open(path, 0)) {
      for (int step = 1; step <= 3; step++) {
        lines.on(skipped(step));
      }
    }
    String whole = Files.readString(path);
    assertThat(whole.lines().toList().get(0))
        .isEqualTo(
            "{\"step\":1,\"event\":\"skipped\",\"reason\":\"all alike\",\"reward\":0.25,\"loss\":null}");
    // The process was killed while it wrote a line, and resumes after step 2.
    Files.writeString(path, whole + "{\"step\":4,\"eve");
    try (JsonLines lines = JsonLines.open(path, 2)) {
      lines.on(skipped(3));
    }
    assertThat(Files.readString(path)).isEqualTo(whole);
    try (JsonLines lines = JsonLines.open(path, 0)) {
      lines.on(new TrainingEvent.Measured(9, "geometry", Map.of("a", 1.0)));
    }
    assertThat(Files.readString(path)).isEqualTo("{\"step\":9,\"event\":\"geometry\",\"a\":1.0}\n");
  }

  /** Counts are whole numbers, and other values and means are not. */
  @Test
  void linesHaveNumbersOfTheirKinds() throws IOException {
    Path path = directory.resolve("metrics.jsonl");
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("num_tokens", 123456789012.0);
    metrics.put("completions/mean_length", 2.5);
    metrics.put("completions/max_length", 3.0);
    metrics.put("patch/bytes", Double.POSITIVE_INFINITY);
    metrics.put("sampling/rounds", 1e300);
    metrics.put("reward", 1.0);
    metrics.put("completions/clipped_ratio", 1.0);
    try (JsonLines lines = JsonLines.open(path, 0)) {
      lines.on(new TrainingEvent.Measured(1, "a", metrics));
    }
    assertThat(Files.readString(path).strip())
        .isEqualTo(
            "{\"step\":1,\"event\":\"a\",\"num_tokens\":123456789012,\"completions/mean_length\":2.5,"
                + "\"completions/max_length\":3,\"patch/bytes\":null,\"sampling/rounds\":1.0E300,"
                + "\"reward\":1.0,\"completions/clipped_ratio\":1.0}");
  }

  @Test
  void eachOfSeveralUpdatesHasALine() throws IOException {
    Path path = directory.resolve("metrics.jsonl");
    StepDetails two =
        new StepDetails(
            List.of(Map.of("loss", 1.0), Map.of("loss", Double.NaN)), List.of(), Map.of("s", 1.0));
    StepDetails one = new StepDetails(List.of(Map.of("loss", 1.0)), List.of(), Map.of());
    try (JsonLines lines = JsonLines.open(path, 0)) {
      lines.on(new TrainingEvent.StepSkipped(4, "why", Map.of("loss", 1.0), two));
      lines.on(new TrainingEvent.StepSkipped(5, "why", Map.of("loss", 1.0), one));
    }
    assertThat(Files.readAllLines(path))
        .containsExactly(
            "{\"step\":4,\"event\":\"update\",\"update\":1,\"loss\":1.0}",
            "{\"step\":4,\"event\":\"update\",\"update\":2,\"loss\":null}",
            "{\"step\":4,\"event\":\"skipped\",\"reason\":\"why\",\"loss\":1.0}",
            "{\"step\":5,\"event\":\"skipped\",\"reason\":\"why\",\"loss\":1.0}");
  }

  /** Event files have the record framing, checksums and fields of TensorFlow. */
  @Test
  void eventFilesAreFramedAndSummed() throws IOException {
    Clock clock = Clock.fixed(Instant.ofEpochMilli(1_700_000_000_500L), ZoneOffset.UTC);
    try (TensorBoard board = TensorBoard.open(directory, 6, clock)) {
      board.on(new TrainingEvent.Measured(300, "geometry", Map.of("reward", 0.5)));
    }
    List<byte[]> records =
        records(directory.resolve("events.out.tfevents.1700000000500.threegate"));
    assertThat(records).hasSize(3);
    assertThat(new String(records.get(0), StandardCharsets.ISO_8859_1)).endsWith("brain.Event:2");
    ByteBuffer last = ByteBuffer.wrap(records.get(2)).order(ByteOrder.LITTLE_ENDIAN);
    assertThat(last.get()).isEqualTo((byte) 0x09);
    assertThat(last.getDouble()).isCloseTo(1_700_000_000.5, within(1e-6));
    byte[] rest = new byte[last.remaining()];
    last.get(rest);
    // Step 300 and a summary of one tag, its value and its description. The bits of 0.5 are
    // 3f000000.
    assertThat(rest)
        .containsExactly(
            0x10, 0xac, 0x02, 0x2a, 0x18, 0x0a, 0x16, 0x0a, 0x06, 'r', 'e', 'w', 'a', 'r', 'd',
            0x15, 0, 0, 0, 0x3f, 0x4a, 0x07, 0x1a, 0x05, 's', 'c', 'o', 'r', 'e');
    // The second record starts a session at step 7.
    assertThat(records.get(1)).endsWith(new byte[] {0x10, 7, 0x3a, 2, 8, 1});
  }

  private static List<byte[]> records(Path path) throws IOException {
    ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    List<byte[]> records = new ArrayList<>();
    while (file.hasRemaining()) {
      byte[] length = new byte[8];
      file.get(length);
      assertThat(file.getInt()).isEqualTo(masked(length));
      byte[] data =
          new byte[(int) ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong()];
      file.get(data);
      assertThat(file.getInt()).isEqualTo(masked(data));
      records.add(data);
    }
    return records;
  }

  /** Returns the steps of the summaries in all event files. */
  private List<Integer> summaries() throws IOException {
    List<Integer> steps = new ArrayList<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.sorted().toList()) {
        for (byte[] record : records(file)) {
          // Steps below 128 are one byte, and the next one is the key of a summary.
          if (record.length > 11 && record[11] == 0x2a) {
            steps.add((int) record[10]);
          }
        }
      }
    }
    return steps;
  }

  /** However a run was interrupted, no step is in its event files twice. */
  @Test
  void eventFilesHaveNoStepTwice() throws IOException {
    Clock clock = Clock.fixed(Instant.ofEpochMilli(1_700_000_000_500L), ZoneOffset.UTC);
    for (long from : new long[] {0, 3, 5, 2}) {
      try (TensorBoard board = TensorBoard.open(directory, from, clock)) {
        for (long step = from + 1; step <= 6; step++) {
          board.on(new TrainingEvent.Measured(step, "a", Map.of("reward", 0.5)));
        }
      }
      assertThat(summaries()).containsExactly(1, 2, 3, 4, 5, 6);
    }
    // A killed process leaves half of a record.
    Path last = directory.resolve("events.out.tfevents.1700000000503.threegate");
    byte[] whole = Files.readAllBytes(last);
    Files.write(last, java.util.Arrays.copyOf(whole, whole.length - 3));
    TensorBoard.open(directory, 6, clock).close();
    assertThat(summaries()).containsExactly(1, 2, 3, 4, 5);
    Path foreign = Files.writeString(directory.resolve("events.out.tfevents.1.other"), "");
    TensorBoard.open(directory, 0, clock).close();
    assertThat(summaries()).isEmpty();
    assertThat(foreign).exists();
  }

  private static int masked(byte[] data) {
    CRC32C sum = new CRC32C();
    sum.update(data);
    int crc = (int) sum.getValue();
    return ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
  }

  @Test
  void geometryIsOfTheModelAsItMoves() {
    List<TrainingEvent> told = new ArrayList<>();
    long all = 0;
    long observed = 0;
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL)) {
      for (Map.Entry<String, Tensor> one : model.parameters().entrySet()) {
        all += one.getValue().numel();
        observed += one.getKey().contains("up_proj") ? one.getValue().numel() : 0;
      }
      assertThatThrownBy(
              () ->
                  GeometryObserver.of(
                      context, model, name -> false, 1, 0, GeometryOptions.DEFAULT, told::add))
          .hasMessage("no matrix is selected");
      try (GeometryObserver observer =
          GeometryObserver.of(
              context,
              model,
              name -> name.contains("up_proj"),
              2,
              4,
              GeometryOptions.DEFAULT,
              told::add)) {
        Tensor weight = model.parameters().get("model.layers.0.mlp.up_proj.weight").detach();
        for (int step = 1; step <= 6; step++) {
          if (step != 6) {
            Scopes.run(() -> weight.mul_(new Scalar(1.01)));
          }
          observer.on(new TrainingEvent.StepTaken(step, Map.of(), model));
        }
        observer.on(skipped(8));
      }
    }
    assertThat(told).extracting(TrainingEvent::step).containsExactly(2L, 4L, 6L);
    Map<String, Double> first = told.get(0).metrics();
    // One of the two matrices grew by two hundredths, so nearly all of its entries changed.
    assertThat(first.get("geometry/changed")).isBetween(0.45, 0.5);
    assertThat(first).doesNotContainKey("geometry/nss");
    Map<String, Double> second = told.get(1).metrics();
    assertThat(second.get("geometry/nss")).isCloseTo(Math.pow(1.01, 4) - 1, within(1e-3));
    assertThat(second.get("geometry/angle")).isLessThan(1e-3);
    assertThat(second.get("geometry/angle/norm-matched")).isGreaterThan(1e-3);
    assertThat(second)
        .containsKeys(
            "geometry/nss/permuted-update",
            "geometry/nss/permuted-update/sd",
            "geometry/principal_energy/isotropic");
    // One matrix grew by a hundredth in this step, which is about one to three bf16 spacings.
    assertThat(first.get("geometry/changed_in_step")).isBetween(0.4, 0.5);
    assertThat(first.get("geometry/observed")).isEqualTo((double) observed / all);
    Map<String, Double> third = told.get(2).metrics();
    assertThat(third.get("geometry/changed_in_step")).isZero();
    assertThat(third.get("geometry/changed")).isGreaterThan(0.45);
    assertThat(third.get("geometry/relative_frobenius")).isBetween(0.02, 0.06);
  }

  /** A model in bf16 hides what moves its float32 masters by less than a rounding. */
  @Test
  @SuppressWarnings("try")
  void whatBf16HidesIsOfTheMasters() {
    List<TrainingEvent> told = new ArrayList<>();
    String name = "model.layers.0.mlp.up_proj.weight";
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, MODEL, Decoder.Storage.BF16);
        GeometryObserver observer =
            GeometryObserver.of(
                context, model, name::equals, 1, 0, GeometryOptions.DEFAULT, told::add)) {
      Tensor master = model.parameters().get(name).detach().to(ScalarType.Float);
      for (double growth : new double[] {1.0001, 1.01}) {
        Scopes.run(
            () -> {
              master.mul_(new Scalar(growth));
              model.parameters().get(name).detach().copy_(master);
            });
        observer.on(
            new TrainingEvent.StepTaken(
                1, Map.of(), model, Map.of(name, master), StepDetails.NONE));
      }
    }
    Map<String, Double> small = told.get(0).metrics();
    assertThat(small.get("geometry/changed")).isZero();
    assertThat(small.get("geometry/hidden")).isGreaterThan(0.99);
    assertThat(small.get("geometry/relative_frobenius")).isCloseTo(1e-4, within(1e-6));
    assertThat(small.get("geometry/relative_frobenius_bf16")).isZero();
    Map<String, Double> large = told.get(1).metrics();
    assertThat(large.get("geometry/changed")).isGreaterThan(0.9);
    assertThat(large.get("geometry/hidden")).isLessThan(0.1);
    assertThat(large.get("geometry/relative_frobenius")).isCloseTo(0.0101, within(1e-5));
    assertThat(large.get("geometry/relative_frobenius_bf16")).isCloseTo(0.0101, within(2e-3));
  }

  /** The product of low-rank factors is measured before it is rounded, too. */
  @Test
  @SuppressWarnings("try")
  void whatBf16HidesOfAnAdapterIsCounted() {
    List<TrainingEvent> told = new ArrayList<>();
    String name = "model.layers.0.mlp.up_proj.weight";
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL, Decoder.Storage.BF16);
        LowRankAdapter adapter =
            LowRankAdapter.attach(context, model, AdapterOptions.of(2, Initialisation.LORA), 1);
        GeometryObserver observer =
            GeometryObserver.of(
                context, model, name::equals, 1, 0, GeometryOptions.DEFAULT, told::add)) {
      Scopes.run(() -> model.factors().get(name).b().detach().fill_(new Scalar(1e-5)));
      observer.on(new TrainingEvent.StepTaken(1, Map.of(), model));
    }
    Map<String, Double> metrics = told.get(0).metrics();
    assertThat(metrics.get("geometry/hidden")).isGreaterThan(0.9);
    assertThat(metrics.get("geometry/relative_frobenius")).isGreaterThan(0);
  }

  /**
   * The measured divergence agrees with its second-order prediction if the step is small. Only one
   * layer moves here, so the prediction equals the share of that layer.
   */
  @Test
  void divergencesAreMeasuredAndPredicted() {
    List<TrainingEvent> told = new ArrayList<>();
    List<CapturedLayers.Text> texts = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(4);
    for (int i = 0; i < 400; i++) {
      int[] tokens = random.ints(4 + i % 3, 3, 24).toArray();
      texts.add(new CapturedLayers.Text(tokens, 2));
    }
    String name = "model.layers.0.mlp.up_proj.weight";
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        DivergenceObserver observer =
            DivergenceObserver.of(
                context, model, texts, own -> own.contains("up_proj"), 2, 1, told::add)) {
      observer.on(new TrainingEvent.StepTaken(2, Map.of(), model));
      Tensor weight = model.parameters().get(name).detach();
      Scopes.run(() -> weight.add_(weight.sin(), new Scalar(0.02)));
      observer.on(new TrainingEvent.StepTaken(3, Map.of(), model));
      observer.on(new TrainingEvent.StepTaken(4, Map.of(), model));
      Scopes.run(() -> weight.mul_(new Scalar(3.0)));
      observer.on(new TrainingEvent.StepTaken(6, Map.of(), model));
    }
    assertThat(told).extracting(TrainingEvent::step).containsExactly(2L, 4L, 6L);
    assertThat(told.get(0).metrics().get("divergence/kl_per_token")).isCloseTo(0, within(1e-9));
    assertThat(told.get(0).metrics().get("divergence/kl_predicted")).isZero();
    Map<String, Double> small = told.get(1).metrics();
    double kl = small.get("divergence/kl_per_token");
    double predicted = small.get("divergence/kl_predicted");
    double error = small.get("divergence/kl_predicted/se");
    assertThat(kl).isGreaterThan(0);
    assertThat(error).isBetween(0.0, predicted / 4);
    assertThat(predicted).isCloseTo(kl, within(4 * error));
    assertThat(small.get("divergence/kl_alone/" + name))
        .isCloseTo(predicted, within(1e-9 * predicted));
    assertThat(small.get("divergence/kl_alone/model.layers.1.mlp.up_proj.weight")).isZero();
    // After a large step, the curvature at the base no longer predicts the divergence.
    Map<String, Double> large = told.get(2).metrics();
    assertThat(large.get("divergence/kl_predicted"))
        .isGreaterThan(1.5 * large.get("divergence/kl_per_token"));
  }

  @Test
  void thePageIsForThisMachineAlone() throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    URI address;
    try (LivePage page = LivePage.open(0, 9)) {
      address = page.address();
      assertThat(address.getHost()).isEqualTo("127.0.0.1");
      page.on(skipped(1));
      page.on(skipped(2));
      HttpResponse<String> html = get(client, address);
      assertThat(html.body()).contains("<title>threegate train</title>");
      assertThat(html.headers().firstValue("content-type")).contains("text/html; charset=utf-8");
      HttpResponse<String> events = get(client, address.resolve("events?from=1"));
      assertThat(events.headers().firstValue("x-steps")).contains("9");
      assertThat(events.body())
          .isEqualTo(
              "[{\"step\":2,\"event\":\"skipped\",\"reason\":\"all alike\",\"reward\":0.25,\"loss\":null}]");
      assertThat(get(client, address.resolve("events?from=7")).body()).isEqualTo("[]");
      assertThat(get(client, address.resolve("events?from=-1")).body()).startsWith("[{\"step\":1,");
      assertThat(get(client, address.resolve("../etc/passwd")).statusCode()).isEqualTo(404);
      try (Socket socket = new Socket("127.0.0.1", address.getPort())) {
        socket
            .getOutputStream()
            .write(
                "GET /events HTTP/1.0\r\nHost: evil.example\r\n\r\n"
                    .getBytes(StandardCharsets.US_ASCII));
        assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
            .contains(" 403 ")
            .doesNotContain("all alike");
      }
    }
    assertThatThrownBy(() -> get(client, address)).isInstanceOf(IOException.class);
  }

  /** A browser draws the events without errors. */
  @Test
  void thePageDrawsWhatHappens() throws Exception {
    try (LivePage page = LivePage.open(0, 9)) {
      page.on(skipped(1));
      for (long step = 2; step < 6; step++) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("geometry/nss", 1e-4 * step);
        metrics.put("geometry/nss/norm-matched", 9e-5 * step);
        page.on(new TrainingEvent.Measured(step, "geometry", metrics));
      }
      Browser.Page seen = Browser.open(page.address(), directory);
      assertThat(seen.errors()).isEmpty();
      assertThat(seen.dom())
          .contains("geometry/nss")
          .contains("norm-matched")
          .contains("stroke-dasharray=\"4 3\"")
          .contains("step 5 of 9");
    }
  }

  private static HttpResponse<String> get(HttpClient client, URI address) throws Exception {
    return client.send(
        HttpRequest.newBuilder(address).build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void metersHaveTheLastValues() {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    MeterObserver meters = new MeterObserver(registry);
    meters.on(skipped(1));
    meters.on(new TrainingEvent.Measured(2, "test", Map.of("reward", 0.75, "a/b", 2.0, "kl", 0.1)));
    assertThat(registry.get("threegate.kl").gauge().getId().getBaseUnit()).isEqualTo("nats");
    assertThat(registry.get("threegate.reward").gauge().getId().getBaseUnit()).isNull();
    assertThat(registry.get("threegate.reward").gauge().value()).isEqualTo(0.75);
    assertThat(registry.get("threegate.a.b").gauge().value()).isEqualTo(2);
    assertThat(registry.get("threegate.steps").tag("outcome", "skipped").counter().count())
        .isEqualTo(1);
    assertThat(registry.get("threegate.steps").tag("outcome", "taken").counter().count()).isZero();
  }

  @Test
  void theConsoleSaysHowFastAndHowLong() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    long[] now = {0};
    ConsoleProgress console =
        new ConsoleProgress(
            new PrintStream(bytes, true, StandardCharsets.UTF_8), 1000, 10, () -> now[0]);
    for (int step = 5; step <= 20; step++) {
      now[0] = step * 4_000_000_000L;
      console.on(new TrainingEvent.StepSkipped(step, "why", Map.of("num_tokens", 1000.0 * step)));
    }
    List<String> lines = bytes.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(lines.get(0)).isEqualTo("step 5/1000  skipped: why");
    assertThat(lines.get(15)).isEqualTo("step 20/1000  skipped: why  250 tokens/s  1:05:20 left");
  }

  /** The console has the first metrics of an environment under the names that it gives them. */
  @Test
  void metricsOfAnEnvironmentAreOnTheConsole() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("reward", 0.5);
    metrics.put("environment/calls\u001b[31m/mean", 1.25);
    metrics.put("environment/calls/std", 2.0);
    metrics.put("environment/tokens/mean", 3.0);
    for (int i = 0; i < 20; i++) {
      metrics.put("environment/m" + i + "/mean", (double) i);
    }
    new ConsoleProgress(new PrintStream(bytes, true, StandardCharsets.UTF_8), 25, 5)
        .on(new TrainingEvent.Measured(5, "step", metrics));
    assertThat(bytes.toString(StandardCharsets.UTF_8).strip())
        .startsWith(
            "step 5/25  reward 0.500  calls\\u001b[31m 1.250  environment tokens 3.000  m0 0.000")
        .endsWith("  m5 5.000");
  }

  @Test
  void linesForPeopleAreFew() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    TrainingObserver console =
        TrainingObserver.all(
            List.of(
                new ConsoleProgress(new PrintStream(bytes, true, StandardCharsets.UTF_8), 25, 10)));
    for (int step = 1; step <= 25; step++) {
      console.on(new TrainingEvent.Measured(step, "x", Map.of("reward", step / 100.0)));
    }
    console.on(new TrainingEvent.Measured(10, "test", Map.of("pass@1", 0.5)));
    console.on(skipped(7));
    assertThat(bytes.toString(StandardCharsets.UTF_8).lines())
        .containsExactly(
            "step 10/25  reward 0.100",
            "step 20/25  reward 0.200",
            "step 25/25  reward 0.250",
            "step 7/25  skipped: all alike  reward 0.250  loss NaN");
  }
}
