package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.kernel.Context;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Optimizer;

/**
 * Tests that all tensors of a model lie on one device. The meta device has shapes but no values. An
 * operation that also uses a tensor of the host fails on it as on a GPU.
 */
class ModelDeviceTest {
  @AfterEach
  void host() {
    ModelDevice.use("cpu");
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "qwen2", "qwen3", "mistral-window"})
  void everythingIsOnTheDevice(String family) {
    ModelDevice.place("meta");
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, Path.of("src/test/resources/decoders", family));
        Optimizer optimizer = Optimizer.of(model.parameters(), AdamW.DEFAULT, Map.of());
        KeyValueCache cache = model.cache(2, 8)) {
      Scopes.run(
          () -> {
            Padded rows = Padded.left(List.of(new int[] {5, 6, 7}, new int[] {4}), 3, 0);
            assertThat(model.parameters().values()).allMatch(Tensor::is_meta);
            // The meta device cannot look up embeddings, so this starts from hidden states.
            Tensor states =
                ModelDevice.placed(
                    torch.zeros(
                        new long[] {2, 3, model.config().hidden()},
                        new TensorOptions(ScalarType.Float)));
            Decoder.Call call =
                model.begin(rows.tokens(), rows.mask(), Optional.empty(), Optional.empty());
            Tensor logits = model.head(call, model.hidden(call, states));
            assertThat(logits.is_meta()).isTrue();
            assertThat(logits.size(2)).isEqualTo(model.config().vocabulary());
            logits.log_softmax(-1).sum().backward();
            model
                .parameters()
                .forEach(
                    (name, own) -> {
                      if (!name.contains("embed_tokens")) {
                        assertThat(own.grad().is_meta()).as(name).isTrue();
                      }
                    });
            // It has no fused attention either, so masks and the cache are checked directly.
            Decoder.Call cached =
                model.begin(rows.tokens(), rows.mask(), Optional.of(cache), Optional.empty());
            assertThat(cached.masks().values()).allMatch(Tensor::is_meta);
            long[] shape = {
              2,
              model.config().attention().keyValueHeads(),
              3,
              model.config().attention().headDimension()
            };
            Tensor keys =
                ModelDevice.placed(torch.zeros(shape, new TensorOptions(ScalarType.Float)));
            assertThat(cache.appendKeys(0, keys).is_meta()).isTrue();
            optimizer.add(
                model.parameters().values().stream()
                    .map(own -> Optional.of(torch.zeros_like(own.detach())))
                    .toList());
            assertThat(optimizer.state().values()).allMatch(Tensor::is_meta);
          });
    }
  }

  @Test
  void whatIsNotThereIsSaid() {
    ModelDevice.use("auto");
    if (!torch.hasCUDA()) {
      assertThat(ModelDevice.name()).isEqualTo("cpu");
      assertThatThrownBy(() -> ModelDevice.use("cuda"))
          .hasMessageContaining("-Dpytorch.classifier=linux-x86_64-gpu");
    }
    assertThatThrownBy(() -> ModelDevice.use("cuda:99")).hasMessageContaining("cuda:99");
    assertThatThrownBy(() -> ModelDevice.use("tpu"))
        .hasMessageContaining("\"tpu\" is not a device");
    assertThatThrownBy(() -> ModelDevice.use("meta")).hasMessageContaining("is not a device");
  }
}
