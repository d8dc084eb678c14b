package org.threegate.rl.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.kernel.Context;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.EmulatedDevice;
import org.threegate.rl.policy.ModelDevice;
import org.threegate.rl.policy.Scopes;
import org.threegate.testing.DeviceMemory;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that observers measure weights where they lie, with a model in the memory of the emulated
 * device. Kernels of the CPU refuse that memory, so a missing copy is an error.
 */
@Tag("device")
@EnabledIfEnvironmentVariable(named = "THREEGATE_CUDA_LIBRARY", matches = ".+")
@ExtendWith(NativeLeaks.class)
class DeviceObserversTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");
  private static final OptionalLong PLENTY = OptionalLong.of(1L << 30);

  /** What an observed step copied to the host. */
  private record Traffic(List<Long> tensors, long all) {}

  /** What was measured, and what that copied. */
  private record Run(
      List<Map<String, Double>> metrics, List<Traffic> traffic, List<String> sentences) {}

  /** Opens an observer. */
  private interface Opening {
    TrainingObserver open(Context context, Decoder model, TrainingObserver told, Run run);
  }

  /** Changes a model in four steps, and measures it after each of them. */
  private static Run run(Optional<EmulatedDevice> device, Opening opening) {
    Run run = new Run(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    try (Context context = ModelDevice.openContext();
        Decoder model = Decoder.load(context, MODEL)) {
      TrainingObserver observer =
          opening.open(context, model, event -> run.metrics().add(event.metrics()), run);
      try {
        for (int step = 1; step <= 4; step++) {
          Scopes.run(
              () -> {
                Tensor weight =
                    model.parameters().get("model.layers.0.mlp.up_proj.weight").detach();
                weight.add_(weight.sin(), new Scalar(0.01));
              });
          device.ifPresent(EmulatedDevice::takeCopies);
          long before = device.isPresent() ? DeviceMemory.bytesToHost() : 0;
          observer.on(new TrainingEvent.StepTaken(step, Map.of(), model));
          device.ifPresent(
              own ->
                  run.traffic()
                      .add(new Traffic(own.takeCopies(), DeviceMemory.bytesToHost() - before)));
        }
      } finally {
        close(observer);
      }
    }
    return run;
  }

  private static void close(TrainingObserver observer) {
    try {
      ((AutoCloseable) observer).close();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static Run runOnDevice(OptionalLong free, boolean exhausted, Opening opening) {
    try (Context opened = Context.open(Context.Device.CUDA, 1);
        EmulatedDevice device = EmulatedDevice.use(free)) {
      assertThat(opened.device()).isEqualTo(Context.Device.CUDA);
      return run(
          Optional.of(device),
          (context, model, told, run) -> {
            assertThat(context.device()).isEqualTo(Context.Device.CUDA);
            TrainingObserver observer = opening.open(context, model, told, run);
            if (exhausted) {
              device.exhaust();
            }
            return observer;
          });
    }
  }

  private static TrainingObserver geometry(
      Context context, Decoder model, TrainingObserver told, Run run) {
    GeometryObserver observer =
        GeometryObserver.of(
            context,
            model,
            name -> name.endsWith("layers.0.mlp.up_proj.weight"),
            1,
            4,
            GeometryOptions.DEFAULT.withSharedDraws(),
            told);
    observer.onShortage(run.sentences()::add);
    return observer;
  }

  private static TrainingObserver divergence(
      Context context, Decoder model, TrainingObserver told, Run run) {
    SplittableRandom random = new SplittableRandom(4);
    List<CapturedLayers.Text> texts = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      texts.add(new CapturedLayers.Text(random.ints(4 + i % 3, 3, 24).toArray(), 2));
    }
    DivergenceObserver observer =
        DivergenceObserver.of(context, model, texts, name -> name.contains("up_proj"), 1, 1, told);
    observer.onShortage(run.sentences()::add);
    return observer;
  }

  private static void assertSame(Run run, Run host) {
    assertThat(run.metrics()).hasSameSizeAs(host.metrics());
    for (int i = 0; i < host.metrics().size(); i++) {
      Map<String, Double> own = run.metrics().get(i);
      Map<String, Double> expected = host.metrics().get(i);
      assertThat(own.keySet()).isEqualTo(expected.keySet());
      expected.forEach(
          (name, value) ->
              assertThat(own.get(name))
                  .as(name)
                  .isCloseTo(value, within(1e-6 * (1 + Math.abs(value)))));
    }
  }

  private static long entries() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL)) {
      return model.parameters().get("model.layers.0.mlp.up_proj.weight").numel();
    }
  }

  /** Counts read no weight on the host. The geometry reads each matrix and its copy once. */
  @Test
  void geometryCopiesEachMatrixOnce() {
    Run host = run(Optional.empty(), DeviceObserversTest::geometry);
    Run device = runOnDevice(PLENTY, false, DeviceObserversTest::geometry);
    assertSame(device, host);
    assertThat(device.sentences()).isEmpty();
    for (Traffic counted : device.traffic().subList(0, 3)) {
      assertThat(counted.tensors()).isEmpty();
      assertThat(counted.all()).isBetween(1L, entries() * Short.BYTES - 1);
    }
    Traffic measured = device.traffic().get(3);
    long matrix = entries() * Float.BYTES;
    assertThat(measured.tensors()).containsExactlyInAnyOrder(matrix, matrix);
  }

  @Test
  void divergenceCopiesNoWeight() {
    Run host = run(Optional.empty(), DeviceObserversTest::divergence);
    Run device = runOnDevice(PLENTY, false, DeviceObserversTest::divergence);
    assertSame(device, host);
    assertThat(device.sentences()).isEmpty();
    for (Traffic traffic : device.traffic()) {
      assertThat(traffic.tensors()).isEmpty();
      assertThat(traffic.all()).isBetween(1L, entries() * Float.BYTES - 1);
    }
  }

  @Test
  void copiesLieOnTheHostIfTheDeviceHasNoRoom() {
    Run host = run(Optional.empty(), DeviceObserversTest::geometry);
    for (OptionalLong free : List.of(OptionalLong.of(1 << 10), OptionalLong.empty())) {
      Run device = runOnDevice(free, false, DeviceObserversTest::geometry);
      assertSame(device, host);
      assertThat(device.sentences())
          .singleElement()
          .asString()
          .startsWith("the copies of weights that geometry compares with lie in host memory: ");
    }
  }

  @Test
  void trainingGoesOnIfKernelsLackMemory() {
    Run host = run(Optional.empty(), DeviceObserversTest::geometry);
    Run device = runOnDevice(PLENTY, true, DeviceObserversTest::geometry);
    assertSame(device, host);
    assertThat(device.sentences())
        .contains(
            "the number of changed weights is measured on the CPU, because the GPU has too little"
                + " free memory")
        .doesNotHaveDuplicates();
  }
}
