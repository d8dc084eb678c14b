package org.threegate.analysis.pairing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/** Tests how the tensors of an adapter are paired with those of its base. */
@ExtendWith(NativeLeaks.class)
class AdapterPairingTest {
  private static final String TIED = "{\"tie_word_embeddings\": true}";
  private static final String QUERY = "model.layers.0.self_attn.q_proj";

  @TempDir Path directory;

  private final SafetensorsWriter base = new SafetensorsWriter();
  private final SafetensorsWriter adapter = new SafetensorsWriter();

  private static void add(SafetensorsWriter writer, String name, Long... shape) {
    int count = (int) List.of(shape).stream().mapToLong(size -> size).reduce(1, (a, b) -> a * b);
    ByteBuffer buffer = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      buffer.putFloat(i % 7 + 1);
    }
    writer.tensor(name, TensorType.F32, List.of(shape), buffer.array());
  }

  private void addFactors(String module) {
    add(adapter, "base_model.model." + module + ".lora_A.weight", 2L, 6L);
    add(adapter, "base_model.model." + module + ".lora_B.weight", 4L, 2L);
  }

  private Pairing pair(String config, Predicate<String> selected) throws IOException {
    Path model = Files.createDirectories(directory.resolve("base"));
    base.write(model.resolve("model.safetensors"));
    Files.writeString(model.resolve("config.json"), config);
    Path tuned = Files.createDirectories(directory.resolve("adapter"));
    adapter.write(tuned.resolve(Checkpoint.ADAPTER_WEIGHTS));
    Files.writeString(tuned.resolve(Checkpoint.ADAPTER_CONFIG), "{\"r\": 2, \"lora_alpha\": 2}");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, model);
        Adapter after = Adapter.open(context, tuned)) {
      Pairing pairing = Pairing.of(before, after, selected);
      everyTensorIsInOneList(pairing.accounting().base(), before);
      everyTensorIsInOneList(pairing.accounting().tuned(), after.weights());
      return pairing;
    }
  }

  private static void everyTensorIsInOneList(Accounting.Side side, Checkpoint checkpoint) {
    assertThat(side.names())
        .containsExactlyElementsOf(new TreeSet<>(checkpoint.tensors().keySet()));
    assertThat(side.tensors()).isEqualTo(checkpoint.tensors().size());
  }

  private static List<String> names(Pairing pairing) {
    return pairing.pairs().stream().map(WeightPair::name).toList();
  }

  @Test
  void tensorsOfAnAdapterEndInOneList() throws IOException {
    add(base, QUERY + ".weight", 4L, 6L);
    add(base, "model.layers.0.self_attn.k_proj.weight", 4L, 6L);
    add(base, "model.norm.weight", 6L);
    add(base, "model.layers.0.mlp.up_proj.weight", 5L, 6L);
    addFactors(QUERY);
    addFactors("model.layers.0.self_attn.x_proj");
    addFactors("model.layers.0.mlp.up_proj");
    add(adapter, "base_model.model.model.norm.weight", 6L);
    Pairing pairing = pair("{}", name -> true);
    assertThat(names(pairing)).containsExactly(QUERY + ".weight", "model.norm.weight");
    assertThat(pairing.names().untouched())
        .containsExactly("model.layers.0.self_attn.k_proj.weight");
    assertThat(pairing.names().onlyInTuned())
        .containsExactly("model.layers.0.self_attn.x_proj.weight");
    assertThat(pairing.names().shapeMismatch())
        .containsExactly("model.layers.0.mlp.up_proj.weight [5, 6] [4, 6]");
    assertThat(pairing.accounting().tuned().unmatched()).hasSize(4);
    assertThat(pairing.accounting().tuned().consumed())
        .containsExactly(
            new Accounting.Note(
                "base_model.model." + QUERY + ".lora_A.weight", "factor of " + QUERY + ".weight"),
            new Accounting.Note(
                "base_model.model." + QUERY + ".lora_B.weight", "factor of " + QUERY + ".weight"));
    assertThat(pairing.accounting().tuned().compared())
        .containsExactly("base_model.model.model.norm.weight");
    assertThat(pairing.accounting().tuned().entries()).isEqualTo(new Accounting.Share(30, 30));
    assertThat(pairing.accounting().coverage()).isEqualTo(new Accounting.Share(54, 84));
    Pairing some = pair("{}", name -> name.contains("norm"));
    assertThat(names(some)).containsExactly("model.norm.weight");
    assertThat(some.accounting().tuned().notSelected()).hasSize(6);
  }

  /** The product of factors is compared, so that it counts beside tensors that are not. */
  @Test
  void entriesOfUpdatesCountAsCompared() throws IOException {
    add(base, QUERY + ".weight", 4L, 6L);
    add(base, "lm_head.weight", 5L, 6L);
    addFactors(QUERY);
    add(adapter, "base_model.model.lm_head.weight", 5L, 7L);
    Accounting accounting = pair("{}", name -> true).accounting();
    assertThat(accounting.tuned().entries()).isEqualTo(new Accounting.Share(24, 59));
    assertThat(accounting.tuned().weights()).isEqualTo(new Accounting.Share(1, 2));
  }

  /** A head that was tied and then trained came from the embedding. */
  @Test
  void aTrainedHeadOfATiedBaseIsComparedWithTheEmbedding() throws IOException {
    add(base, "model.embed_tokens.weight", 4L, 6L);
    add(base, "lm_head.weight", 4L, 6L); // a copy
    add(adapter, "base_model.model.lm_head.weight", 4L, 6L);
    Pairing whole = pair(TIED, name -> true);
    assertThat(names(whole)).containsExactly("lm_head.weight");
    assertThat(whole.matched()).containsExactly("model.embed_tokens.weight = lm_head.weight");
    assertThat(whole.names().untouched()).containsExactly("model.embed_tokens.weight");
    assertThat(whole.accounting().base().consumed())
        .containsExactly(new Accounting.Note("lm_head.weight", "tied copy of the embedding"));
  }

  /** Both are one parameter, so that PEFT changes both when it merges the adapter. */
  @Test
  void factorsOfATiedHeadChangeTheEmbedding() throws IOException {
    add(base, "transformer.wpe.weight", 9L, 6L);
    add(base, "transformer.wte.weight", 4L, 6L);
    addFactors("lm_head");
    Pairing pairing = pair(TIED, name -> true);
    assertThat(names(pairing)).containsExactly("transformer.wte.weight");
    assertThat(pairing.matched()).containsExactly("transformer.wte.weight = lm_head.weight");
    assertThat(pairing.accounting().tuned().consumed())
        .extracting(Accounting.Note::reason)
        .containsExactly("factor of transformer.wte.weight", "factor of transformer.wte.weight");
  }

  @Test
  void factorsOfATiedHeadAndOfItsEmbeddingAreRefused() throws IOException {
    add(base, "model.embed_tokens.weight", 4L, 6L);
    addFactors("lm_head");
    add(adapter, "base_model.model.model.embed_tokens.lora_embedding_A", 2L, 4L);
    add(adapter, "base_model.model.model.embed_tokens.lora_embedding_B", 6L, 2L);
    assertThatThrownBy(() -> pair(TIED, name -> true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(
            "changes lm_head.weight and model.embed_tokens.weight, which are one parameter of");
  }

  @Test
  void aVocabularyThatGrewIsComparedByItsFirstRows() throws IOException {
    add(base, "model.embed_tokens.weight", 4L, 6L);
    add(adapter, "base_model.model.model.embed_tokens.base_layer.weight", 7L, 6L);
    add(adapter, "base_model.model.model.embed_tokens.lora_embedding_A", 2L, 7L);
    add(adapter, "base_model.model.model.embed_tokens.lora_embedding_B", 6L, 2L);
    Pairing pairing = pair("{}", name -> true);
    assertThat(pairing.pairs()).hasSize(1);
    assertThat(pairing.pairs().get(0).shape()).containsExactly(4L, 6L);
    assertThat(pairing.accounting().tuned().consumed()).hasSize(2);
    assertThat(pairing.accounting().tuned().compared())
        .containsExactly("base_model.model.model.embed_tokens.base_layer.weight");
  }

  @Test
  void namesMayDifferByAPrefix() throws IOException {
    add(base, "model.layers.0.self_attn.q_proj.weight", 4L, 6L);
    addFactors("model.language_model.layers.0.self_attn.q_proj");
    Pairing pairing = pair("{}", name -> true);
    assertThat(names(pairing)).containsExactly("model.layers.0.self_attn.q_proj.weight");
    assertThat(pairing.matched()).hasSize(1);
    assertThat(pairing.accounting().tuned().consumed()).hasSize(2);
  }
}
