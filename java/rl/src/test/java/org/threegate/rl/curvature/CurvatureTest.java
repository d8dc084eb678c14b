package org.threegate.rl.curvature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.analysis.curvature.Capture;
import org.threegate.analysis.curvature.FiniteDifferenceHessian;
import org.threegate.analysis.curvature.FisherKind;
import org.threegate.analysis.curvature.LayerFisher;
import org.threegate.analysis.curvature.OperatorCheck;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Differentiation;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class CurvatureTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/qwen3");

  @TempDir Path directory;

  private static Padded texts() {
    return Padded.right(List.of(new int[] {3, 4, 5, 6, 7}, new int[] {8, 9, 10, 2, 5}), 5, 0);
  }

  /** Returns the objective of a policy update, with advantages and an earlier policy. */
  private static Supplier<Tensor> objective(Decoder model, Padded texts) {
    Tensor before =
        Scopes.keepWithoutGradient(
            () ->
                model
                    .logProbabilities(texts.tokens(), texts.mask(), 1, 2, 3)
                    .add(new Scalar(0.05)));
    Tensor mask = before.mul(new Scalar(0.0)).add(new Scalar(1.0));
    Tensor advantages = Tensors.of(new float[] {1, -0.7f}, 2);
    return () -> {
      Tensor own = model.logProbabilities(texts.tokens(), texts.mask(), 1, 2, 3);
      return PolicyObjective.GRPO.loss(PolicyBatch.of(own, before, mask, advantages)).value();
    };
  }

  /** Exact products agree with finite differences of gradients, within their error bound. */
  @ParameterizedTest
  @CsvSource({
    "llama, model.layers.0.self_attn.q_proj.weight model.layers.1.mlp.down_proj.weight"
        + " model.norm.weight",
    "qwen3-5-text, model.layers.0.linear_attn.in_proj_qkv.weight model.layers.0.linear_attn.A_log"
        + " model.layers.1.self_attn.q_proj.weight model.layers.2.linear_attn.conv1d.weight"
  })
  void exactProductsAreThoseOfFiniteDifferences(String decoder, String names) {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model =
            Decoder.load(context, MODEL.resolveSibling(decoder), Decoder.Storage.FLOAT64)) {
      List<Tensor> parameters =
          Arrays.stream(names.split(" ")).map(model.parameters()::get).toList();
      Supplier<Tensor> objective = objective(model, texts());
      ExactHessian hessian = new ExactHessian(parameters, objective);
      OperatorCheck.requireDeterministic(hessian, 1);
      assertThat(OperatorCheck.asymmetry(hessian, 1)).isLessThan(1e-12);
      double[] point = new double[hessian.dimension()];
      int at = 0;
      for (Tensor parameter : parameters) {
        new DoublePointer(parameter.data_ptr()).get(point, at, (int) parameter.numel());
        at += (int) parameter.numel();
      }
      try (FiniteDifferenceHessian differences =
          FiniteDifferenceHessian.at(
              context,
              point.clone(),
              (place, gradient) -> gradient(model, parameters, objective, place, gradient),
              FiniteDifferenceHessian.DOUBLE)) {
        SplittableRandom random = new SplittableRandom(3);
        for (int trial = 0; trial < 3; trial++) {
          double[] vector = random.doubles(point.length, -1, 1).toArray();
          double[] exact = new double[vector.length];
          move(parameters, point);
          hessian.apply(vector, exact);
          FiniteDifferenceHessian.Product product = differences.multiply(vector);
          double squares = 0;
          double errors = 0;
          for (int i = 0; i < exact.length; i++) {
            squares += exact[i] * exact[i];
            errors += Math.pow(exact[i] - product.values()[i], 2);
          }
          assertThat(Math.sqrt(errors)).isLessThanOrEqualTo(product.error());
          assertThat(Math.sqrt(errors)).isLessThan(1e-6 * Math.sqrt(squares));
          assertThat(squares).isGreaterThan(0);
        }
      }
      long objects = Pointer.totalCount();
      hessian.applyAll(new double[3][hessian.dimension()]);
      assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
      assertThatThrownBy(() -> new ExactHessian(List.of(), objective))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  private static void move(List<Tensor> parameters, double[] place) {
    int at = 0;
    for (Tensor parameter : parameters) {
      new DoublePointer(parameter.data_ptr()).put(place, at, (int) parameter.numel());
      at += (int) parameter.numel();
    }
  }

  private static void gradient(
      Decoder model,
      List<Tensor> parameters,
      Supplier<Tensor> objective,
      double[] place,
      double[] gradient) {
    move(parameters, place);
    Scopes.run(
        () -> {
          objective.get().backward();
          int at = 0;
          for (Tensor parameter : parameters) {
            Tensor own = parameter.grad().contiguous();
            new DoublePointer(own.data_ptr()).get(gradient, at, (int) parameter.numel());
            at += (int) parameter.numel();
          }
          model.parameters().values().forEach(each -> each.mutable_grad().reset());
        });
  }

  /** The Fisher information from a capture equals that from the gradients of each text. */
  @Test
  void capturesGiveTheInformationThatGradientsGive() throws IOException {
    String name = "model.layers.1.self_attn.o_proj.weight";
    Path file = directory.resolve("capture.safetensors");
    List<CapturedLayers.Text> texts =
        List.of(
            new CapturedLayers.Text(new int[] {3, 4, 5, 6, 7}, 2),
            new CapturedLayers.Text(new int[] {8, 9, 2}, 1));
    try (Context context = Context.open();
        Control control = Control.open(context);
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, MODEL)) {
      CaptureFile.write(model, texts, own -> own.endsWith("o_proj.weight"), true, 1, file);
      try (Capture capture = Capture.open(context, file)) {
        assertThat(capture.kind()).isEqualTo(FisherKind.EMPIRICAL);
        assertThat(capture.layers()).hasSize(model.config().layers().size());
      }
      List<float[]> gradients = new ArrayList<>();
      int index = List.copyOf(model.parameters().keySet()).indexOf(name);
      for (CapturedLayers.Text text : texts) {
        Padded row = Padded.right(List.of(text.tokens()), text.tokens().length, 0);
        List<Optional<Tensor>> all =
            new Differentiation(model, row, 1, text.given(), text.predicted(), false)
                .of(Tensor::sum);
        gradients.add(Tensors.floats(all.get(index).orElseThrow()));
        all.forEach(gradient -> gradient.ifPresent(Tensor::close));
      }
      try (Capture capture = Capture.open(context, file)) {
        LayerFisher fisher = ofSequences(context, capture, name, control);
        double[] vector = new SplittableRandom(5).doubles(fisher.dimension(), -1, 1).toArray();
        double[] product = new double[vector.length];
        fisher.apply(vector, product);
        // With N tokens, N F v is the sum of (g . v) g over the texts.
        double[] expected = new double[vector.length];
        for (float[] gradient : gradients) {
          double slope = 0;
          for (int i = 0; i < vector.length; i++) {
            slope += gradient[i] * vector[i];
          }
          for (int i = 0; i < vector.length; i++) {
            expected[i] += slope * gradient[i] / 5;
          }
        }
        double size = 0;
        for (double value : expected) {
          size = Math.max(size, Math.abs(value));
        }
        for (int i = 0; i < expected.length; i++) {
          assertThat(product[i]).isCloseTo(expected[i], within(1e-4 * size));
        }
      }
      // Labels drawn from the model depend on the seed only.
      List<byte[]> files = new ArrayList<>();
      for (long seed : new long[] {1, 1, 2}) {
        CaptureFile.write(model, texts, own -> own.equals(name), false, seed, file);
        files.add(Files.readAllBytes(file));
      }
      assertThat(files.get(1)).isEqualTo(files.get(0));
      assertThat(files.get(2)).isNotEqualTo(files.get(0));
      assertThatThrownBy(() -> CaptureFile.write(model, texts, own -> false, false, 1, file))
          .hasMessage("no linear layer is selected");
    }
  }

  private static LayerFisher ofSequences(
      Context context, Capture capture, String name, Control control) {
    Capture.Layer layer =
        capture.layers().stream()
            .filter(own -> (own.name() + ".weight").equals(name))
            .findFirst()
            .orElseThrow();
    return LayerFisher.of(context, List.of(layer.samples()), capture.kind(), control)
        .ofSequences(layer.sequences());
  }
}
