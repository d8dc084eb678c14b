package org.threegate.checkpoint.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.run.InvalidInputException;

/** Tests metadata of distributed checkpoints that are made to deceive. */
class DistributedMetadataTest {
  private static final String MODULE = "torch.distributed.checkpoint.metadata";

  /** A chunk in the metadata, and where it is stored. */
  private record Item(List<Integer> begin, List<Integer> size, String file, int offset, int bytes) {
    static Item rows(int begin, int size, int offset) {
      return new Item(List.of(begin, 0), List.of(size, 3), "__0_0.distcp", offset, 10);
    }
  }

  private static String code(String module, String name, String state) {
    return "c" + module + "\n" + name + "\n)\u0081" + state + "b";
  }

  private static String sizes(List<Integer> sizes) {
    StringBuilder code = new StringBuilder("ctorch\nSize\n(");
    sizes.forEach(size -> code.append(Archives.number(size)));
    return code + "t\u0085R";
  }

  private static String fields(String... namesAndCodes) {
    StringBuilder code = new StringBuilder("}(");
    for (int i = 0; i < namesAndCodes.length; i += 2) {
      code.append(Archives.text(namesAndCodes[i])).append(namesAndCodes[i + 1]);
    }
    return code + "u";
  }

  /** Returns the code of a tensor of 4 x 3 with chunks. */
  private static String tensor(Item... items) {
    StringBuilder chunks = new StringBuilder("](");
    for (Item item : items) {
      String state = fields("offsets", sizes(item.begin()), "sizes", sizes(item.size()));
      chunks.append(code(MODULE, "ChunkStorageMetadata", state));
    }
    String properties = code(MODULE, "TensorProperties", "(ctorch\nfloat32\nNt");
    return code(
        MODULE,
        "TensorStorageMetadata",
        fields("properties", properties, "size", sizes(List.of(4, 3)), "chunks", chunks + "e"));
  }

  private static String places(String name, Item... items) {
    StringBuilder code = new StringBuilder();
    for (Item item : items) {
      code.append(
          code(
              MODULE,
              "MetadataIndex",
              fields("fqn", Archives.text(name), "offset", sizes(item.begin()))));
      code.append(
          code(
              "torch.distributed.checkpoint.filesystem",
              "_StorageInfo",
              fields(
                  "relative_path",
                  Archives.text(item.file()),
                  "offset",
                  Archives.number(item.offset()),
                  "length",
                  Archives.number(item.bytes()))));
    }
    return code.toString();
  }

  private static String metadata(String items, String places, String planner) {
    return Archives.PROTOCOL
        + code(
            MODULE,
            "Metadata",
            fields(
                "state_dict_metadata",
                items,
                "planner_data",
                planner,
                "storage_data",
                "}(" + places + "u"))
        + ".";
  }

  private static String one(Item... items) {
    return metadata(fields("a", tensor(items)), places("a", items), "N");
  }

  private static DistributedMetadata read(String pickle) {
    return DistributedMetadata.read(ByteSource.of("d/.metadata", Archives.latin(pickle)));
  }

  private static void refused(String pickle, String... words) {
    assertThatThrownBy(() -> read(pickle))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("d/.metadata: ")
        .hasMessageContainingAll(words);
  }

  @Test
  void chunksAreFoundWhereTheyLie() {
    DistributedMetadata read = read(one(Item.rows(0, 2, 0), Item.rows(2, 2, 10)));
    assertThat(read.others()).isEmpty();
    DistributedMetadata.Chunked tensor = read.tensors().get(0);
    assertThat(tensor.name()).isEqualTo("a");
    assertThat(tensor.type()).isEqualTo(TorchType.F32);
    assertThat(tensor.shape()).containsExactly(4L, 3L);
    assertThat(tensor.chunks())
        .extracting(DistributedMetadata.Chunk::place)
        .containsExactly(
            new DistributedMetadata.Place("__0_0.distcp", 0, 10),
            new DistributedMetadata.Place("__0_0.distcp", 10, 10));
  }

  @Test
  void chunksThatCannotBeAreRefused() {
    refused(one(Item.rows(3, 2, 0)), "tensor \"a\" of [4, 3] has a chunk of [2, 3] at [3, 0]");
    refused(one(Item.rows(Integer.MAX_VALUE, 2, 0)), "has a chunk");
    refused(one(Item.rows(-1, 2, 0)), "no size where one should be");
    refused(one(new Item(List.of(0), List.of(4), "f", 0, 10)), "has a chunk of [4] at [0]");
    refused(one(Item.rows(0, 2, 0), Item.rows(2, 2, 5)), "two items overlap in the file __0_0");
    refused(one(Item.rows(0, 4, -1)), "no size where one should be");
    refused(one(Item.rows(0, 2, 0), Item.rows(0, 2, 10)), "has two chunks at [0, 0]");
    refused(
        metadata(fields("a", tensor(Item.rows(0, 4, 0))), places("b", Item.rows(0, 4, 0)), "N"),
        "has a chunk at [0, 0] that is not stored");
    refused(
        one(Item.rows(0, 4, 0))
            .replace(sizes(List.of(4, 3)), sizes(List.of(0, Integer.MAX_VALUE, 2))),
        "impossible dimensions");
    // The same bytes for many chunks would make a large tensor of a small file.
    refused(
        metadata(
            fields("a", tensor(Item.rows(0, 4, 0)), "b", tensor(Item.rows(0, 4, 0))),
            places("a", Item.rows(0, 4, 0)) + places("b", Item.rows(0, 4, 0)),
            "N"),
        "two items overlap");
  }

  @ParameterizedTest
  @CsvSource({
    "os,system",
    "builtins,eval",
    "torch._utils,_rebuild_tensor_v2",
    "torch,FloatStorage",
    "torch.distributed.tensor,DTensor",
    "pathlib,Path"
  })
  void onlyNamesOfMetadataAreRead(String module, String name) {
    refused(
        Archives.PROTOCOL + "c" + module + "\n" + name + "\n" + Archives.text("x") + "\u0085R.",
        module + "." + name + " does not describe a distributed checkpoint");
  }

  @Test
  void tensorsInAPickleOfMetadataAreRefused() {
    refused(Archives.PROTOCOL + Archives.storage("float32", "0", 4) + ".", "persistent identifier");
  }

  @Test
  void theModelIsFoundUnderOneKey() {
    Item item = Item.rows(0, 4, 0);
    String places =
        places("model.a", item)
            + places("optim.state.a", Item.rows(0, 4, 10))
            + places("step", Item.rows(0, 4, 20));
    String items =
        fields("model.a", tensor(item), "optim.state.a", tensor(item), "step", tensor(item));
    String a = Archives.text("a");
    String planner =
        fields(
            "model.a",
            "(" + Archives.text("model") + a + "t",
            "optim.state.a",
            "(" + Archives.text("optim") + Archives.text("state") + a + "t",
            "step",
            "(" + Archives.text("step") + "t");
    DistributedMetadata read = read(metadata(items, places, planner));
    assertThat(read.tensors()).extracting(DistributedMetadata.Chunked::name).containsExactly("a");
    assertThat(read.others())
        .isEqualTo(
            Map.of(
                "optim.state.a",
                "beside the model, one of 1 under optim",
                "step",
                "beside the model"));
    // Without paths, names are those of one dictionary.
    assertThat(read(metadata(items, places, "N")).tensors()).hasSize(3);
    refused(
        metadata(items, places, planner.replace(Archives.text("optim"), Archives.text("module"))),
        "several state dictionaries, model and module");
  }
}
