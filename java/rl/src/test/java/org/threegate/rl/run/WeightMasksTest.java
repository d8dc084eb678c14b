package org.threegate.rl.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.kernel.Context;
import org.threegate.kernel.Mask;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Tensors;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class WeightMasksTest {
  private static final Path DECODERS = Path.of("src/test/resources/decoders");
  private static final String EXPERTS = "model.layers.0.mlp.experts.gate_up_proj";

  /** A mask without entries. */
  private static Mask closed(int rows, int columns) {
    return new Mask(rows, columns, new long[rows * ((columns + 63) / 64)]);
  }

  @Test
  void masksOfExpertsArePutTogether() {
    int hidden = 32;
    int width = 24;
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("gpt-oss"))) {
      WeightMasks masks = new WeightMasks(model);
      assertThat(masks.unmasked()).isEmpty();
      masks.put("file", EXPERTS + "[1][up]", closed(hidden, width));
      masks.put("file", "model.layers.0.mlp.router.weight", closed(4, hidden));
      Tensor whole = masks.tensors().get(EXPERTS);
      assertThat(whole.scalar_type().intern()).isEqualTo(ScalarType.Bool);
      float[] open = Tensors.floats(whole);
      assertThat(open).hasSize(4 * hidden * 2 * width);
      for (int i = 0; i < open.length; i++) {
        int expert = i / (hidden * 2 * width);
        boolean up = i % 2 == 1; // columns of the gate and of the first projection take turns
        assertThat(open[i]).as("entry " + i).isEqualTo(expert == 1 && up ? 0 : 1);
      }
      masks.put("file", EXPERTS + "_bias[gate]", closed(4, width));
      float[] biases = Tensors.floats(masks.tensors().get(EXPERTS + "_bias"));
      assertThat(biases).hasSize(4 * 2 * width);
      for (int i = 0; i < biases.length; i++) {
        assertThat(biases[i]).as("bias " + i).isEqualTo(i % 2);
      }
      assertThat(masks.tensors()).hasSize(3);
      assertThat(masks.unmasked())
          .contains(EXPERTS + "[0][up]", EXPERTS + "[1][gate]", "lm_head.weight")
          .doesNotContain(EXPERTS, EXPERTS + "[1][up]", "model.layers.0.mlp.router.weight");
    }
  }

  @Test
  void masksOfOtherModelsAreRefused() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("gpt-oss"))) {
      WeightMasks masks = new WeightMasks(model);
      assertThatThrownBy(() -> masks.put("file", EXPERTS + "[4][up]", closed(32, 24)))
          .isInstanceOf(InvalidInputException.class)
          .hasMessage(
              "file: mask \"" + EXPERTS + "[4][up]\" does not belong to a weight of the model");
      assertThatThrownBy(() -> masks.put("file", EXPERTS + "[3][up]", closed(24, 32)))
          .isInstanceOf(InvalidInputException.class)
          .hasMessage(
              "file: mask \""
                  + EXPERTS
                  + "[3][up]\" is 24 x 32, which is not the shape of the weight");
      assertThatThrownBy(() -> masks.put("file", EXPERTS, closed(4, 32)))
          .hasMessageContaining("which is not the shape of the weight");
    }
  }
}
