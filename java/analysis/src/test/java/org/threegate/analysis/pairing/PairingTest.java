package org.threegate.analysis.pairing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.IntToDoubleFunction;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/** Tests that weights find their counterparts, and that each stored tensor is accounted for. */
@ExtendWith(NativeLeaks.class)
class PairingTest {
  private static final String TIED = "{\"model_type\":\"llama\",\"tie_word_embeddings\":true}";
  private static final String UNTIED = "{\"model_type\":\"llama\",\"tie_word_embeddings\":false}";
  private static final Predicate<String> ALL = name -> true;

  @TempDir Path directory;

  /** A model whose matrices have two columns of float32 entries, and its configuration. */
  private record Model(SafetensorsWriter writer, String config) {
    static Model of(String config) {
      return new Model(new SafetensorsWriter(), config);
    }

    Model with(String name, long rows, IntToDoubleFunction value) {
      int count = Math.toIntExact(2 * rows);
      ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < count; i++) {
        bytes.putFloat((float) value.applyAsDouble(i));
      }
      writer.tensor(name, TensorType.F32, List.of(rows, 2L), bytes.array());
      return this;
    }

    Model with(String name, TensorType type) {
      writer.tensor(name, type, List.of(2L, 2L), new byte[4 * type.bits() / 8]);
      return this;
    }
  }

  private static Model withVector(Model model, String name) {
    model.writer().tensor(name, TensorType.F32, List.of(3L), new byte[12]);
    return model;
  }

  private Path write(Model model) throws IOException {
    Path path = Files.createTempDirectory(directory, "model");
    model.writer().write(path.resolve("model.safetensors"));
    Files.writeString(path.resolve("config.json"), model.config());
    return path;
  }

  private Pairing pair(
      Model base, Model tuned, Predicate<String> selected, Map<String, String> renames)
      throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Checkpoint after = Checkpoint.open(context, write(tuned))) {
      Pairing pairing = Pairing.of(before, after, selected, renames);
      accountsForAll(before, pairing.accounting().base());
      accountsForAll(after, pairing.accounting().tuned());
      return pairing;
    }
  }

  private Pairing pair(Model base, Model tuned) throws IOException {
    return pair(base, tuned, ALL, Map.of());
  }

  private static void accountsForAll(Checkpoint checkpoint, Accounting.Side side) {
    assertThat(side.names())
        .containsExactlyElementsOf(new TreeSet<>(checkpoint.tensors().keySet()));
    assertThat(side.tensors()).isEqualTo(checkpoint.tensors().size());
  }

  private static List<String> names(Pairing pairing) {
    return pairing.pairs().stream().map(WeightPair::name).toList();
  }

  @Test
  void eachStoredTensorIsInOneList() throws IOException {
    Model base =
        Model.of(TIED)
            .with("a.weight", 3, i -> i)
            .with("b.weight", 4, i -> i)
            .with("codes.weight", TensorType.F8_E4M3)
            .with("positions", TensorType.I64)
            .with("skipped.weight", 1, i -> i)
            .with("gone.weight", 2, i -> i);
    Model tuned =
        Model.of(TIED)
            .with("a.weight", 3, i -> i)
            .with("b.weight", 5, i -> i)
            .with("codes.weight", TensorType.F8_E4M3)
            .with("positions", TensorType.I64)
            .with("skipped.weight", 1, i -> i)
            .with("new.weight", 2, i -> i);
    Pairing pairing = pair(base, tuned, name -> !name.startsWith("skipped"), Map.of());
    assertThat(names(pairing)).containsExactly("a.weight");
    Accounting.Side side = pairing.accounting().base();
    assertThat(side.compared()).containsExactly("a.weight");
    assertThat(side.unmatched())
        .containsExactly(
            new Accounting.Note("b.weight", "shape [4, 2] against [5, 2]"),
            new Accounting.Note("gone.weight", "the tuned checkpoint has no such weight"));
    assertThat(side.refused())
        .extracting(Accounting.Note::tensor)
        .containsExactly("codes.weight", "positions");
    assertThat(side.notSelected()).containsExactly("skipped.weight");
    // 6 of a, 8 of b, 4 codes, 4 positions, 4 of the tensor that is gone.
    assertThat(side.entries()).isEqualTo(new Accounting.Share(6, 26));
    assertThat(side.weights()).isEqualTo(new Accounting.Share(1, 5));
  }

  private SharedMatrices shared(Predicate<String> selected, Model base, Model... runs)
      throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Checkpoint first = Checkpoint.open(context, write(runs[0]));
        Checkpoint second = Checkpoint.open(context, write(runs[1]))) {
      SharedMatrices shared = SharedMatrices.of(before, List.of(first, second), selected);
      accountsForAll(before, shared.accounting().base());
      accountsForAll(first, shared.accounting().runs().get(0));
      accountsForAll(second, shared.accounting().runs().get(1));
      return shared;
    }
  }

  @Test
  void eachStoredTensorOfRunsIsInOneList() throws IOException {
    Model base =
        Model.of(UNTIED)
            .with("a.weight", 3, i -> i)
            .with("b.weight", 4, i -> i)
            .with("c.weight", 2, i -> i)
            .with("codes.weight", TensorType.F8_E4M3)
            .with("skipped.weight", 1, i -> i);
    Model first =
        Model.of(UNTIED)
            .with("module.a.weight", 3, i -> i)
            .with("b.weight", 4, i -> i)
            .with("new.weight", 1, i -> i)
            .with("skipped.weight", 1, i -> i);
    Model second =
        Model.of(UNTIED)
            .with("a.weight", 3, i -> i)
            .with("b.weight", 5, i -> i)
            .with("c.weight", 2, i -> i)
            .with("positions", TensorType.I64);
    SharedMatrices shared =
        shared(
            name -> !name.startsWith("skipped"),
            withVector(base, "norm.weight"),
            withVector(first, "norm.weight"),
            withVector(second, "norm.weight"));
    assertThat(shared.byName()).containsOnlyKeys("a.weight");
    assertThat(shared.byName().get("a.weight")).hasSize(2);
    assertThat(shared.matched()).containsExactly("a.weight = module.a.weight");
    Accounting.Side side = shared.accounting().base();
    assertThat(side.unmatched())
        .containsExactly(
            new Accounting.Note("c.weight", "run 1: the tuned checkpoint has no such weight"),
            new Accounting.Note("b.weight", "run 2: shape [4, 2] against [5, 2]"));
    assertThat(side.leftOut())
        .containsExactly(new Accounting.Note("norm.weight", "it is not a matrix"));
    assertThat(side.refused()).extracting(Accounting.Note::tensor).containsExactly("codes.weight");
    // 6 of a; 8 of b, 4 of c, 4 codes and 3 of the vector are not compared.
    assertThat(side.entries()).isEqualTo(new Accounting.Share(6, 25));
    assertThat(shared.accounting().runs().get(0).compared()).containsExactly("module.a.weight");
    assertThat(shared.accounting().runs().get(0).unmatched())
        .containsExactly(
            new Accounting.Note("new.weight", "the base has no such weight"),
            new Accounting.Note("b.weight", "run 2: shape [4, 2] against [5, 2]"));
    assertThat(shared.accounting().runs().get(1).unmatched())
        .containsExactly(
            new Accounting.Note("b.weight", "shape [5, 2] against [4, 2]"),
            new Accounting.Note("c.weight", "run 1: the tuned checkpoint has no such weight"));
  }

  @Test
  void runsShareTheRowsThatAllEmbeddingsHave() throws IOException {
    String embedding = "model.embed_tokens.weight";
    SharedMatrices shared =
        shared(
            ALL,
            Model.of(UNTIED).with(embedding, 8, i -> i),
            Model.of(UNTIED).with(embedding, 6, i -> i),
            Model.of(UNTIED).with(embedding, 9, i -> i));
    assertThat(shared.byName().get(embedding))
        .allSatisfy(pair -> assertThat(pair.shape()).containsExactly(6L, 2L))
        .allSatisfy(pair -> assertThat(pair.tuned().rows()).isEqualTo(6));
    assertThat(shared.accounting().base().entries()).isEqualTo(new Accounting.Share(12, 16));
    assertThat(shared.accounting().runs().get(1).entries()).isEqualTo(new Accounting.Share(12, 18));
  }

  @Test
  void anOutputHeadOfOneRunIsUnmatched() throws IOException {
    String embedding = "model.embed_tokens.weight";
    SharedMatrices shared =
        shared(
            ALL,
            Model.of(TIED).with(embedding, 3, i -> i),
            Model.of(UNTIED).with(embedding, 3, i -> i).with("lm_head.weight", 3, i -> -i),
            Model.of(TIED).with(embedding, 3, i -> i));
    assertThat(shared.byName()).containsOnlyKeys(embedding);
    assertThat(shared.accounting().runs().get(0).unmatched())
        .containsExactly(
            new Accounting.Note("lm_head.weight", "run 2: its output head is that of the base"));
    assertThat(shared.matched()).containsExactly(embedding + " = lm_head.weight");
  }

  @Test
  void aMaskIsForMatricesOnly() throws IOException {
    Model model =
        Model.of(UNTIED)
            .with("a.weight", 3, i -> i)
            .with("empty.weight", 0, i -> i)
            .with("positions", TensorType.I64)
            .with("skipped.weight", 1, i -> i);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, write(withVector(model, "norm")))) {
      Pairing matrices = Pairing.matrices(checkpoint, name -> !name.startsWith("skipped"));
      assertThat(names(matrices)).containsExactly("a.weight");
      Accounting.Side side = matrices.accounting().base();
      accountsForAll(checkpoint, side);
      assertThat(side.leftOut())
          .containsExactly(
              new Accounting.Note("empty.weight", "it has no entries"),
              new Accounting.Note("norm", "it is not a matrix"));
      assertThat(side.entries()).isEqualTo(new Accounting.Share(6, 13));
    }
  }

  @Test
  void namesAreMatchedInSpiteOfWrappers() throws IOException {
    String name = "model.layers.0.mlp.up_proj.weight";
    for (String wrapped :
        List.of(
            "module." + name,
            "_orig_mod." + name,
            "base_model.model." + name,
            "model.language_model.layers.0.mlp.up_proj.weight",
            "_fsdp_wrapped_module.model.layers.0._checkpoint_wrapped_module.mlp.up_proj.weight")) {
      Pairing pairing =
          pair(Model.of(UNTIED).with(name, 3, i -> i), Model.of(UNTIED).with(wrapped, 3, i -> i));
      assertThat(names(pairing)).as(wrapped).containsExactly(name);
      assertThat(pairing.matched()).containsExactly(name + " = " + wrapped);
    }
  }

  /** Two names that are the same without their wrappers are not guessed. */
  @Test
  void ambiguousNamesAreNotMatched() throws IOException {
    Pairing pairing =
        pair(
            Model.of(UNTIED).with("a.weight", 3, i -> i),
            Model.of(UNTIED)
                .with("module.a.weight", 3, i -> i)
                .with("_orig_mod.a.weight", 3, i -> i));
    assertThat(pairing.pairs()).isEmpty();
    assertThat(pairing.matched()).isEmpty();
    assertThat(pairing.names().onlyInTuned())
        .containsExactlyInAnyOrder("module.a.weight", "_orig_mod.a.weight");
  }

  @Test
  void namesCanBeRenamed() throws IOException {
    Model base = Model.of(UNTIED).with("model.a.weight", 3, i -> i);
    Model tuned = Model.of(UNTIED).with("actor.net.a.weight", 3, i -> i);
    assertThat(pair(base, tuned).pairs()).isEmpty();
    Pairing pairing = pair(base, tuned, ALL, Map.of("actor.net.", "model."));
    assertThat(names(pairing)).containsExactly("model.a.weight");
    assertThat(pairing.matched()).containsExactly("model.a.weight = actor.net.a.weight");
    Model both = Model.of(UNTIED).with("x.a", 1, i -> i).with("y.a", 1, i -> i);
    assertThatThrownBy(() -> pair(base, both, ALL, Map.of("x.", "z.", "y.", "z.")))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("z.a");
  }

  @Test
  void aTiedCopyIsCountedOnce() throws IOException {
    Model base = Model.of(TIED).with("model.embed_tokens.weight", 3, i -> i);
    Model copy =
        Model.of(TIED)
            .with("model.embed_tokens.weight", 3, i -> i + 1)
            .with("lm_head.weight", 3, i -> i + 1);
    Pairing pairing = pair(base, copy);
    assertThat(names(pairing)).containsExactly("model.embed_tokens.weight");
    assertThat(pairing.accounting().tuned().consumed())
        .containsExactly(new Accounting.Note("lm_head.weight", "tied copy of the embedding"));
    assertThat(pairing.accounting().coverage().value()).isEqualTo(1);
  }

  /** Families have a default. Without one, a checkpoint that has no output head is tied. */
  @Test
  void embeddingsAreTiedByDefaultOrIfThereIsNoHead() throws IOException {
    String embedding = "model.embed_tokens.weight";
    for (String config :
        List.of("{\"model_type\":\"gemma\"}", "{\"model_type\":\"another\"}", "{}")) {
      Model base = Model.of(config).with(embedding, 3, i -> i);
      Model tuned =
          Model.of(config).with(embedding, 3, i -> i + 1).with("lm_head.weight", 3, i -> i + 2);
      assertThat(names(pair(base, tuned))).as(config).containsExactly(embedding, "lm_head.weight");
      Model copy =
          Model.of(config).with(embedding, 3, i -> i + 1).with("lm_head.weight", 3, i -> i + 1);
      assertThat(names(pair(copy, copy))).as(config).containsExactly(embedding);
    }
    String separate = "{\"model_type\":\"llama\"}";
    Model copy = Model.of(separate).with(embedding, 3, i -> i).with("lm_head.weight", 3, i -> i);
    assertThat(names(pair(copy, copy))).containsExactlyInAnyOrder(embedding, "lm_head.weight");
    assertThat(pair(Model.of(separate).with(embedding, 3, i -> i), copy).names().onlyInTuned())
        .containsExactly("lm_head.weight");
  }

  @Test
  void aTiedCopyInPiecesIsCountedOnce() {
    Path model =
        Path.of(System.getProperty("threegate.root"))
            .resolve("java/checkpoint/src/test/resources/torch/dcp-tied");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, model);
        Checkpoint after = Checkpoint.open(context, model)) {
      Pairing pairing = Pairing.of(before, after, ALL);
      assertThat(names(pairing)).containsExactly("model.embed_tokens.weight");
      accountsForAll(after, pairing.accounting().tuned());
      assertThat(pairing.accounting().tuned().consumed())
          .contains(
              new Accounting.Note("lm_head.weight [chunk at [0, 0]]", "tied copy of the embedding"),
              new Accounting.Note("lm_head.weight [chunk at [2, 0]]", "read with lm_head.weight"));
    }
  }

  /** A head that was untied and trained came from the embedding. */
  @Test
  void anUntiedHeadIsComparedWithTheEmbedding() throws IOException {
    Model base = Model.of(TIED).with("model.embed_tokens.weight", 3, i -> i + 1);
    Model untied =
        Model.of(UNTIED)
            .with("model.embed_tokens.weight", 3, i -> i + 1)
            .with("lm_head.weight", 3, i -> i == 4 ? 9 : i + 1);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Checkpoint after = Checkpoint.open(context, write(untied))) {
      Pairing pairing = Pairing.of(before, after, ALL);
      assertThat(names(pairing)).containsExactly("model.embed_tokens.weight", "lm_head.weight");
      accountsForAll(after, pairing.accounting().tuned());
      try (TensorPair head = pairing.pairs().get(1).open(context)) {
        assertThat(Bf16Diff.compare(context, head.base(), head.tuned()).changed()).isEqualTo(1);
      }
    }
  }

  @Test
  void vocabulariesAreComparedInTheRowsThatBothHave() throws IOException {
    Model base = Model.of(UNTIED).with("model.embed_tokens.weight", 3, i -> i + 1);
    Model longer =
        Model.of(UNTIED).with("model.embed_tokens.weight", 5, i -> i == 3 || i > 5 ? 100 : i + 1);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Checkpoint after = Checkpoint.open(context, write(longer))) {
      Pairing pairing = Pairing.of(before, after, ALL);
      assertThat(pairing.names().shapeMismatch())
          .containsExactly("model.embed_tokens.weight [3, 2] [5, 2]");
      assertThat(pairing.accounting().coverage()).isEqualTo(new Accounting.Share(6, 10));
      try (TensorPair rows = pairing.pairs().get(0).open(context)) {
        Bf16Diff.Result diff = Bf16Diff.compare(context, rows.base(), rows.tuned());
        assertThat(diff.total()).isEqualTo(6);
        assertThat(diff.changed()).isEqualTo(1);
      }
    }
  }

  /** Phi-3 stores queries, keys and values in one matrix, and gate and up in another. */
  @Test
  void fusedMatricesAreComparedByTheirParts() throws IOException {
    String attention = "model.layers.0.self_attn.qkv_proj.weight";
    String feedForward = "model.layers.0.mlp.gate_up_proj.weight";
    String config =
        "{\"model_type\":\"phi3\",\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":2}";
    Model base = Model.of(config).with(attention, 8, i -> i).with(feedForward, 6, i -> i);
    Model tuned =
        Model.of(config)
            .with(attention, 8, i -> i == 9 ? 100 : i)
            .with(feedForward, 6, i -> i > 5 ? i + 1 : i);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Checkpoint after = Checkpoint.open(context, write(tuned))) {
      Pairing pairing = Pairing.of(before, after, ALL);
      accountsForAll(before, pairing.accounting().base());
      assertThat(names(pairing))
          .containsExactly(
              attention + "[q]",
              attention + "[k]",
              attention + "[v]",
              feedForward + "[gate]",
              feedForward + "[up]");
      assertThat(pairing.pairs().stream().map(pair -> pair.kind().label()))
          .containsExactly("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj");
      assertThat(pairing.pairs().stream().map(pair -> pair.heads().size()))
          .containsExactly(2, 1, 1, 0, 0);
      long[] changed = new long[5];
      for (int i = 0; i < changed.length; i++) {
        try (TensorPair pair = pairing.pairs().get(i).open(context)) {
          changed[i] = Bf16Diff.compare(context, pair.base(), pair.tuned()).changed();
        }
      }
      assertThat(changed).containsExactly(0, 1, 0, 0, 6);
      assertThat(names(Pairing.whole(before, after, ALL, name -> Optional.empty())))
          .containsExactly(attention, feedForward);
      Pairing one =
          Pairing.whole(
              before,
              after,
              ALL,
              name -> name.equals(attention) ? Optional.empty() : Optional.of("not wanted"));
      assertThat(names(one)).containsExactly(attention);
      accountsForAll(before, one.accounting().base());
      accountsForAll(after, one.accounting().tuned());
      assertThat(one.accounting().tuned().leftOut())
          .containsExactly(new Accounting.Note(feedForward, "not wanted"));
    }
  }

  /** The changed entries of each pair of two models, by name. */
  private Map<String, Long> changed(Model base, Model tuned) throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Checkpoint after = Checkpoint.open(context, write(tuned))) {
      Pairing pairing = Pairing.of(before, after, ALL);
      accountsForAll(before, pairing.accounting().base());
      assertThat(pairing.accounting().coverage().value()).isEqualTo(1);
      assertThat(pairing.pairs().stream().flatMap(pair -> pair.sources().stream()))
          .as("each stored tensor is digested once")
          .doesNotHaveDuplicates()
          .hasSize(before.tensors().size() + after.tensors().size());
      Map<String, Long> changed = new LinkedHashMap<>();
      for (WeightPair pair : pairing.pairs()) {
        try (TensorPair opened = pair.open(context)) {
          Bf16Diff.Result diff = Bf16Diff.compare(context, opened.base(), opened.tuned());
          assertThat(diff.total()).isEqualTo(pair.rows() * pair.columns());
          changed.put(pair.name(), diff.changed());
        }
      }
      return changed;
    }
  }

  /** GPT-NeoX stores the query, key and value of a head, then those of the next head. */
  @Test
  void partsThatAreStoredHeadByHeadAreGathered() throws IOException {
    String attention = "gpt_neox.layers.0.attention.query_key_value.";
    String config =
        "{\"model_type\":\"gpt_neox\",\"num_attention_heads\":3,\"hidden_size\":6,"
            + "\"num_hidden_layers\":1}";
    Model base = Model.of(config).with(attention + "weight", 18, i -> i);
    // Two entries a row, two rows a head: the key of head 1 is rows 8 and 9.
    Model tuned =
        Model.of(config).with(attention + "weight", 18, i -> i / 2 == 8 || i == 19 ? -9 : i);
    vector(base, attention + "bias", 18, i -> i);
    vector(tuned, attention + "bias", 18, i -> i % 6 == 4 ? -9 : i);
    assertThat(changed(base, tuned))
        .containsOnly(
            Map.entry(attention + "bias[q]", 0L),
            Map.entry(attention + "bias[k]", 0L),
            Map.entry(attention + "bias[v]", 3L),
            Map.entry(attention + "weight[q]", 0L),
            Map.entry(attention + "weight[k]", 3L),
            Map.entry(attention + "weight[v]", 0L));
  }

  private static void vector(Model model, String name, int size, IntToDoubleFunction value) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * size).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < size; i++) {
      bytes.putFloat((float) value.applyAsDouble(i));
    }
    model.writer().tensor(name, TensorType.F32, List.of((long) size), bytes.array());
  }

  /** gpt-oss stores the columns of gate and up by turns, Llama 4 one half after the other. */
  @Test
  void gateAndUpOfExpertsAreComparedApart() throws IOException {
    String name = "model.layers.0.mlp.experts.gate_up_proj";
    for (String family : List.of("gpt_oss", "llama4_text")) {
      String config = "{\"model_type\":\"" + family + "\",\"hidden_size\":3}";
      Model base = Model.of(config);
      Model tuned = Model.of(config);
      byte[] before = new byte[2 * 2 * 3 * 4];
      byte[] after = before.clone();
      for (int input = 0; input < 3; input++) {
        after[2 * (12 + 4 * input + 1) + 1] = 0x40; // output 1 of expert 1
      }
      base.writer().tensor(name, TensorType.BF16, List.of(2L, 3L, 4L), before);
      tuned.writer().tensor(name, TensorType.BF16, List.of(2L, 3L, 4L), after);
      boolean mixed = family.equals("gpt_oss");
      assertThat(changed(base, tuned))
          .as(family)
          .containsExactly(
              Map.entry(name + "[0][gate]", 0L),
              Map.entry(name + "[0][up]", 0L),
              Map.entry(name + "[1][gate]", mixed ? 0L : 3L),
              Map.entry(name + "[1][up]", mixed ? 3L : 0L));
    }
  }

  /** The factors of an adapter are cut as the rows of the matrix are. */
  @Test
  void anAdapterOfAFusedMatrixIsComparedByParts() throws IOException {
    String module = "gpt_neox.layers.0.attention.query_key_value";
    Model base =
        Model.of("{\"model_type\":\"gpt_neox\",\"num_attention_heads\":2,\"hidden_size\":2}")
            .with(module + ".weight", 6, i -> i + 1);
    Path adapter = Files.createDirectories(directory.resolve("adapter"));
    Files.writeString(adapter.resolve("adapter_config.json"), "{\"r\":2,\"lora_alpha\":2}");
    new Model(new SafetensorsWriter(), "")
        .with("base_model.model." + module + ".lora_A.weight", 2, i -> 1)
        .with("base_model.model." + module + ".lora_B.weight", 6, i -> i / 2 == 5 ? 1 : 0)
        .writer()
        .write(adapter.resolve("adapter_model.safetensors"));
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Adapter after = Adapter.open(context, adapter)) {
      List<WeightPair> pairs = Pairing.of(before, after, ALL).pairs();
      long[] changed = new long[3];
      for (int i = 0; i < changed.length; i++) {
        try (TensorPair pair = pairs.get(i).open(context)) {
          changed[i] = Bf16Diff.compare(context, pair.base(), pair.tuned()).changed();
        }
      }
      assertThat(changed).as("the value of the second head").containsExactly(0, 0, 2);
    }
  }

  @Test
  void eachTensorOfAnAdapterIsInOneList() throws IOException {
    String module = "model.layers.0.self_attn.q_proj";
    Model base =
        Model.of(UNTIED)
            .with(module + ".weight", 4, i -> i + 1)
            .with("model.norm.weight", 1, i -> i + 1)
            .with("lm_head.weight", 3, i -> i + 1);
    Path adapter = Files.createDirectories(directory.resolve("adapter"));
    Files.writeString(adapter.resolve("adapter_config.json"), "{\"r\":2,\"lora_alpha\":4}");
    new Model(new SafetensorsWriter(), "")
        .with("base_model.model." + module + ".lora_A.weight", 2, i -> i)
        .with("base_model.model." + module + ".lora_B.weight", 4, i -> i)
        .with("base_model.model.model.layers.9.mlp.up_proj.lora_A.weight", 2, i -> i)
        .with("base_model.model.model.layers.9.mlp.up_proj.lora_B.weight", 4, i -> i)
        .with("base_model.model.lm_head.weight", 3, i -> i + 2)
        .writer()
        .write(adapter.resolve("adapter_model.safetensors"));
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint before = Checkpoint.open(context, write(base));
        Adapter after = Adapter.open(context, adapter)) {
      Pairing pairing = Pairing.of(before, after, ALL);
      accountsForAll(before, pairing.accounting().base());
      accountsForAll(after.weights(), pairing.accounting().tuned());
      assertThat(pairing.accounting().tuned().consumed())
          .allMatch(note -> note.reason().equals("factor of " + module + ".weight"))
          .hasSize(2);
      assertThat(pairing.accounting().tuned().unmatched()).hasSize(2);
      assertThat(pairing.accounting().tuned().compared())
          .containsExactly("base_model.model.lm_head.weight");
      assertThat(pairing.accounting().base().unchanged()).containsExactly("model.norm.weight");
    }
  }
}
