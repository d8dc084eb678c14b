package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

/** Tests which file of a directory is read, and what is said about other layouts. */
class ModelDirectoryTest {
  @TempDir Path directory;

  private Path made(String... files) throws IOException {
    Path model = Files.createTempDirectory(directory, "model");
    for (String file : files) {
      Files.createDirectories(model.resolve(file).getParent());
      Files.writeString(model.resolve(file), "");
    }
    return model;
  }

  private static String chosen(Path model) {
    return model.relativize(ModelDirectory.weights(model)).toString();
  }

  private static void refused(Path model, String... words) {
    assertThatThrownBy(() -> ModelDirectory.weights(model))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith(model + ": ")
        .hasMessageContainingAll(words);
  }

  @Test
  void theWeightsAreFound() throws IOException {
    assertThat(chosen(made("model.safetensors", "pytorch_model.bin")))
        .isEqualTo("model.safetensors");
    assertThat(chosen(made("pytorch_model.bin", "training_args.bin", "optimizer.bin")))
        .isEqualTo("pytorch_model.bin");
    assertThat(chosen(made("pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin")))
        .isEqualTo("pytorch_model.bin.index.json");
    assertThat(chosen(made("model.pt", "optimizer.pt", "rng_state_0.pth", "scheduler.pt")))
        .isEqualTo("model.pt");
    assertThat(chosen(made("any.ckpt"))).isEqualTo("any.ckpt");
    assertThat(
            chosen(
                made(
                    "model_world_size_2_rank_0.pt",
                    "model_world_size_2_rank_1.pt",
                    "optim_world_size_2_rank_0.pt",
                    "extra_state_world_size_2_rank_0.pt",
                    "huggingface/config.json")))
        .isEqualTo("model_world_size_2_rank_0.pt");
    // After DeepSpeed's own script has run.
    assertThat(chosen(made("zero_to_fp32.py", "pytorch_model.bin"))).isEqualTo("pytorch_model.bin");
  }

  /** A directory that was written twice has the files of two models. */
  @Test
  void anIndexAndAFileThatItDoesNotNameAreRefused() throws IOException {
    for (String file : new String[] {"model.safetensors", "pytorch_model.bin"}) {
      Path model = made(file);
      Path index = model.resolve(file + ".index.json");
      Files.writeString(index, "{\"weight_map\":{\"a\":\"shard-1\"}}");
      refused(model, "has " + file + " and " + file + ".index.json", "name the one to read");
      Files.writeString(index, "{\"weight_map\":{\"a\":\"" + file + "\"}}");
      assertThat(chosen(model)).isEqualTo(file + ".index.json");
    }
  }

  @Test
  void otherLayoutsAreRefusedWithTheWayThatLeadsOn() throws IOException {
    refused(made("a.pt", "b.pt"), "2 files of torch, such as a.pt and b.pt", "name the one");
    refused(made("model_world_size_2_rank_0.pt", "model_world_size_4_rank_0.pt"), "name the one");
    refused(made("__0_0.distcp", "config.json"), ".distcp files without .metadata");
    refused(made("x-q4_k_m.gguf"), "GGUF", "safetensors that they were made from");
    refused(made("latest_checkpointed_iteration.txt", "iter_0000100/x"), "Megatron");
    refused(made("metadata.json", "common.pt", ".metadata", "__0_0.distcp"), "Megatron");
    refused(
        made("checkpoint-100/x", "checkpoint-200/x", "checkpoint-300/x", "checkpoint-400/x"),
        "name one of those in it: checkpoint-100, checkpoint-200, checkpoint-300, ...");
    refused(made("global_step_100/actor/x"), "in it: global_step_100");
    refused(
        made("trainer_state.json", "checkpoint-200/adapter_model.safetensors"),
        "no weights in this directory, but an adapter in checkpoint-200; name that directory");
    refused(
        made("a/adapter_model.safetensors", "b/adapter_model.safetensors"),
        "adapters in a, b; name one of those directories");
    refused(made("actor/x", "critic/x"), "in it: actor");
    refused(made("models--org--name/snapshots/a/x"), "in it: models--org--name");
    refused(made("hub/models--org--name/x"), "name a model below hub/");
    refused(made(), "no .safetensors file, no index of shards and no file of torch");
  }

  @Test
  void filesOfSeveralProcessesAreFound() throws IOException {
    assertThat(chosen(made(".metadata", "__0_0.distcp"))).isEqualTo(".metadata");
    assertThat(
            chosen(
                made(
                    "pytorch_model_fsdp_0/.metadata",
                    "pytorch_model_fsdp_0/__0_0.distcp",
                    "optimizer_0/.metadata",
                    "optimizer_0/__0_0.distcp",
                    "trainer_state.json",
                    "scheduler.pt")))
        .isEqualTo("pytorch_model_fsdp_0/.metadata");
    refused(
        made("a/.metadata", "a/__0_0.distcp", "b/.metadata", "b/__0_0.distcp"),
        "holds the distributed checkpoints a, b; name the one of the model");
    refused(made("step-10/.metadata", "step-10/__0_0.distcp"), "name one of those in it: step-10");
    String first = "zero_pp_rank_0_mp_rank_00_optim_states.pt";
    assertThat(chosen(made(first, "zero_pp_rank_0_mp_rank_00_model_states.pt"))).isEqualTo(first);
    Path whole = made("zero_to_fp32.py", "global_step9/bf16_" + first, "global_step8/" + first);
    Files.writeString(whole.resolve("latest"), "global_step9\n");
    assertThat(chosen(whole)).isEqualTo("global_step9/bf16_" + first);
    Files.writeString(whole.resolve("latest"), "../..");
    assertThatThrownBy(() -> ModelDirectory.weights(whole))
        .hasMessageContaining("not a plain file name");
    assertThat(chosen(made("mp_rank_00_model_states.pt"))).isEqualTo("mp_rank_00_model_states.pt");
    for (String file :
        List.of(
            "mp_rank_01_model_states.pt",
            "layer_00-model_00-model_states.pt",
            "expp_rank_0_mp_rank_00_optim_states.pt",
            "layer_1_expert_0_mp_rank_00_model_states.pt",
            "zero_pp_rank_0_mp_rank_03_optim_states.pt")) {
      refused(made(first, file), "holds " + file, "split by tensors, layers or experts");
    }
  }

  @Test
  void aRepositoryOfTheCacheIsItsSnapshot() throws IOException {
    Path repository = Files.createDirectories(directory.resolve("models--org--name"));
    Path snapshots = Files.createDirectories(repository.resolve("snapshots"));
    assertThatThrownBy(() -> ModelDirectory.resolved(repository))
        .hasMessageContaining("has 0 snapshots", "download the model again");
    Path first = Files.createDirectory(snapshots.resolve("abc"));
    assertThat(ModelDirectory.resolved(repository)).isEqualTo(first);
    Path second = Files.createDirectory(snapshots.resolve("def"));
    assertThatThrownBy(() -> ModelDirectory.resolved(repository))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("has 2 snapshots, and none is refs/main; name one below snapshots/");
    Files.createDirectory(repository.resolve("refs"));
    Files.writeString(repository.resolve("refs/main"), "def\n");
    assertThat(ModelDirectory.resolved(repository)).isEqualTo(second);
    Files.writeString(repository.resolve("refs/main"), "../../..");
    assertThatThrownBy(() -> ModelDirectory.resolved(repository))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("not a plain file name");
    assertThat(ModelDirectory.resolved(first)).isEqualTo(first);
  }
}
