package org.threegate.checkpoint.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.run.InvalidInputException;

/** Tests archives and pickles that are made to deceive. */
class TorchArchiveTest {
  private static final String FOUR = number(0) + "(" + number(2) + number(2) + "t";
  private static final String ROWS = "(" + number(2) + number(1) + "t";
  private static final String END = "\u0089)";
  private static final String GOOD = Archives.tensor("a", FOUR + ROWS + END);

  private static String number(int value) {
    return Archives.number(value);
  }

  private static TorchArchive read(byte[] file) {
    return TorchArchive.read(Archives.source(file));
  }

  private static void refused(byte[] file, String... words) {
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("x.pt: ")
        .satisfies(e -> List.of(words).forEach(word -> assertThat(e).hasMessageContaining(word)));
  }

  private static void refusedPickle(String pickle, String... words) {
    refused(Archives.of(pickle, new byte[4]), words);
  }

  @Test
  void aTensorIsFoundWhereItLies() {
    byte[] file = Archives.of(GOOD, (byte) 1, (byte) 2, (byte) 3, (byte) 4);
    TorchArchive archive = read(file);
    TorchTensor tensor = archive.tensors().get(0);
    assertThat(archive.tensors()).hasSize(1);
    assertThat(archive.others()).isEmpty();
    assertThat(tensor.name()).isEqualTo("a");
    assertThat(tensor.type()).isEqualTo(TorchType.U8);
    assertThat(tensor.shape()).containsExactly(2L, 2L);
    assertThat(tensor.share()).isEqualTo(Optional.<TensorShare>empty());
    assertThat(tensor.strides()).isEmpty();
    int at = (int) tensor.offset();
    assertThat(Arrays.copyOfRange(file, at, at + 4)).containsExactly(1, 2, 3, 4);
  }

  @ParameterizedTest
  @CsvSource({
    "posix,system",
    "os,system",
    "builtins,eval",
    "builtins,exec",
    "builtins,getattr",
    "__builtin__,eval",
    "subprocess,Popen",
    "torch,load",
    "torch.hub,load",
    "torch._utils,_rebuild_sparse_tensor",
    "numpy.core.multiarray,_reconstruct",
    "torch.jit,load",
    "webbrowser,open",
    "torch._utils,_rebuild_tensor_v2.__globals__",
    "torch.distributed._shard.sharded_tensor.api,ShardedTensor"
  })
  void onlyConstructorsOfTensorsHaveNames(String module, String name) {
    String words = module + "." + name + " is not a constructor of tensors";
    refusedPickle(
        Archives.PROTOCOL + "c" + module + "\n" + name + "\n" + Archives.text("id") + "\u0085R.",
        words);
    refusedPickle(
        "\u0080\u0004"
            + Archives.text(module)
            + Archives.text(name)
            + "\u0093"
            + Archives.text("id")
            + "\u0085R.",
        words);
  }

  /** Instructions that run code, or that torch never writes: INST, OBJ, EXT1, PERSID and others. */
  @ParameterizedTest
  @ValueSource(
      strings = {"i", "o", "\u0082", "\u0083", "P", "I", "L", "V", "S", "0", "2", "g", "\u0092"})
  void otherInstructionsAreRefused(String instruction) {
    refusedPickle(Archives.PROTOCOL + instruction + ".", "instruction");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "\u0080",
        "\u0080\u0002",
        "\u0080\u0001N.",
        "\u0080\u0009N.",
        "\u0080\u0002.",
        "\u0080\u0002t.",
        "\u0080\u0002(N.",
        "\u0080\u0002NN.",
        "\u0080\u0002N.N",
        "\u0080\u0002Na.",
        "\u0080\u0002]N(a.",
        "\u0080\u0002}Nu.",
        "\u0080\u0002}(Nu.",
        "\u0080\u0002h\u0000.",
        "\u0080\u0002X\u00ff\u00ff\u00ff\u007f.",
        "\u0080\u0002\u008d\0\0\0\0\0\0\0\u0080.",
        "\u0080\u0002\u0095\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007fN.",
        "\u0080\u0002NR.",
        "\u0080\u0002))R.",
        "\u0080\u0002))\u0081.",
        "\u0080\u0002))b.",
        "\u0080\u0002)Q.",
        "\u0080\u0002X\u0001\0\0\0\u00ff.",
        "\u0080\u0002ctorch\n",
        "\u0080\u0002\u008a\u0008."
      })
  void brokenPicklesAreRefused(String pickle) {
    refusedPickle(pickle);
  }

  @Test
  void sizesOfTensorsAreChecked() {
    String two = "(" + number(2) + "t";
    refusedPickle(Archives.tensor("a", number(1) + FOUR.substring(5) + ROWS + END), "beyond");
    refusedPickle(Archives.tensor("a", number(-1) + FOUR.substring(5) + ROWS + END), "strides");
    refusedPickle(Archives.tensor("a", FOUR + two + END), "strides");
    refusedPickle(
        Archives.tensor("a", number(0) + "(" + number(-2) + number(2) + "t" + ROWS + END),
        "not a size");
    String huge = "\u008a\u0008\0\0\0\0\0\0\0\u0040"; // 2^62
    refusedPickle(
        Archives.tensor("a", number(0) + "(" + huge + huge + "t" + ROWS + END), "impossible");
    refusedPickle(
        Archives.tensor("a", number(0) + "(" + huge + number(0) + "t" + ROWS + END), "impossible");
    String beyond = "\u008a\u0009\0\0\0\0\0\0\0\0\u0001"; // 2^64
    refusedPickle(Archives.tensor("a", number(0) + "(" + beyond + "t" + two + END), "not a size");
    for (int stride = 0; stride < 2; stride++) {
      refusedPickle(
          Archives.tensor("a", FOUR + "(" + number(stride) + number(1) + "t" + END),
          "tensor \"a\" has more entries than are stored",
          ".contiguous()");
    }
    byte[] turned =
        Archives.of(
            Archives.tensor("a", FOUR + "(" + number(1) + number(2) + "t" + END), new byte[4]);
    assertThat(read(turned).tensors().get(0).strides()).containsExactly(1L, 2L);
    assertThat(read(turned).tensors().get(0).span()).isEqualTo(4);
  }

  @Test
  void storagesAreThoseOfTheArchive() {
    byte[] four = new byte[4];
    refused(Archives.of(GOOD, new byte[3]), "tensor \"a\" has data of 3 bytes");
    refused(Archives.of(GOOD, new byte[5]), "tensor \"a\" has data of 5 bytes");
    refused(
        Archives.of(GOOD.replace(Archives.text("0"), Archives.text("1")), four),
        "tensor \"a\" has no data");
    refused(
        Archives.of(GOOD.replace("ByteStorage", "QInt8Storage"), four),
        "torch.QInt8Storage is not a constructor");
    refused(Archives.of(GOOD.replace("ByteStorage", "float32"), four), "is not a storage");
    refused(
        Archives.of(GOOD.replace(Archives.text("storage"), Archives.text("program")), four),
        "persistent identifier");
  }

  @Test
  void aTensorInATensorEnds() {
    String type = "ctorch._tensor\n_rebuild_from_type_v2\n";
    refusedPickle(
        Archives.PROTOCOL + type + "q\0(" + "h\0" + "ctorch\nTensor\n" + "]" + "NtR.",
        "a tensor in a tensor");
  }

  @Test
  @Timeout(20)
  void bombsStayWithinTheirBounds() {
    // Each list holds the one before it twice, so that the last one would have 2^60 items.
    StringBuilder laughs = new StringBuilder(Archives.PROTOCOL + "(]q\0");
    for (int i = 1; i < 60; i++) {
      laughs.append("](h").append((char) (i - 1)).append('h').append((char) (i - 1));
      laughs.append("eq").append((char) i);
    }
    refusedPickle(laughs + "t.", "no dictionary of tensors");
    // A list that contains itself, as a state dictionary.
    refusedPickle(Archives.PROTOCOL + "]q\0h\0a.", "no dictionary");
    refusedPickle(Archives.PROTOCOL + "}q\0" + Archives.text("model") + "h\0s.", "no tensors");
    int most = Pickle.MOST_VALUES;
    for (String one : List.of("(", "]", "}", "N", "(t", "q\0")) {
      refusedPickle(
          Archives.PROTOCOL + "N" + one.repeat(most) + ".", "more than " + most + " values");
    }
    // Deep, but within the bounds.
    refusedPickle(
        Archives.PROTOCOL + "N" + "\u0085".repeat(most / 2) + ".", "no dictionary of tensors");
    refusedPickle(
        Archives.PROTOCOL + "N" + "\u0095\0\0\0\0\0\0\0\0".repeat(1000) + ".", "no dictionary");
  }

  @Test
  void stateDictionariesAreFoundUnderOneKey() {
    String inner = GOOD.substring(2, GOOD.length() - 1);
    String epoch = Archives.text("epoch") + number(3) + "s";
    String nested = Archives.PROTOCOL + "}" + epoch + Archives.text("model") + inner + "s";
    TorchArchive archive = read(Archives.of(nested + ".", new byte[4]));
    assertThat(archive.tensors()).extracting(TorchTensor::name).containsExactly("a");
    assertThat(archive.others())
        .isEqualTo(Map.of("epoch", "beside the state dictionary \"model\""));
    refusedPickle(
        nested + Archives.text("module") + inner + "s.", "several state dictionaries, model and");
    refusedPickle(
        nested.replace(Archives.text("model"), Archives.text("weird")) + ".",
        "holds no tensors",
        "[epoch, weird]");
    refusedPickle(Archives.PROTOCOL + "}N" + number(1) + "s.", "a key that is neither");
  }

  @Test
  void archivesThatLieAreRefused() {
    byte[] pickle = Archives.latin(GOOD);
    byte[] four = new byte[4];
    refused(new byte[0], "empty, not a file of torch");
    refused(Archives.latin("\u0080\u0002}."), "is not a zip archive", "weights_only=True");
    byte[] good = Archives.of(GOOD, four);
    for (int length = 4; length < good.length; length++) {
      refused(Arrays.copyOf(good, length));
    }
    refused(Arrays.copyOf(good, good.length + 1), "does not end with the directory");
    refused(
        new Archives().with("x/data.pkl", pickle).with("x/data.pkl", pickle).end(),
        "two zip entries \"x/data.pkl\"");
    refused(new Archives().with("x/other", pickle).end(), "not one of torch: it has 0 data.pkl");
    refused(
        new Archives().with("x/data.pkl", pickle).with("y/data.pkl", pickle).end(),
        "it has 2 data.pkl");
    refused(
        new Archives()
            .with("x/data.pkl", pickle)
            .with("x/byteorder", Archives.latin("big"))
            .with("x/data/0", four)
            .end(),
        "not little-endian");
    // Fields of an entry in the directory.
    refused(archive().central(10, 2, 8).end(), "is compressed");
    refused(archive().central(8, 2, 1).end(), "is compressed");
    refused(archive().central(20, 4, 3).end(), "is compressed");
    refused(archive().central(24, 4, 0xFFFFFFFFL).central(20, 4, 0xFFFFFFFFL).end(), "beyond");
    refused(archive().central(24, 4, 1000).central(20, 4, 1000).end(), "beyond the archive");
    refused(archive().central(42, 4, 0).end(), "differs from its own header");
    refused(archive().central(42, 4, 1000).end(), "not before the directory");
    refused(archive().central(28, 2, 7).end());
    refused(archive().central(30, 2, 1).end());
    refused(archive().central(32, 2, 0xFFFF).end());
    // One entry in the data of another.
    byte[] inner = new Archives().with("x/data/0", four).end();
    refused(
        new Archives()
            .with("x/data.pkl", pickle)
            .with("x/data/0", four)
            .with("x/data/0", inner)
            .central(42, 4, 0)
            .end());
    ByteBuffer shifted = ByteBuffer.wrap(good.clone()).order(ByteOrder.LITTLE_ENDIAN);
    shifted.putShort(good.length - 12, (short) 2).putShort(good.length - 14, (short) 2);
    refused(shifted.array(), "more bytes than entries");
    shifted.putShort(good.length - 12, (short) 0xFFFF).putShort(good.length - 14, (short) 0xFFFF);
    refused(shifted.array(), "does not lie before its end");
  }

  private static Archives archive() {
    return new Archives().with("x/data.pkl", Archives.latin(GOOD)).with("x/data/0", new byte[4]);
  }

  @Test
  void overlappingEntriesAreRefused() {
    // The second entry lies in the data of the first one, which is as long as both.
    byte[] inner = new Archives().with("x/data/0", new byte[4]).end();
    int header = 30 + "x/data.pkl".length();
    refused(
        new Archives()
            .with("x/data.pkl", inner)
            .with("x/data/0", new byte[4])
            .central(42, 4, header)
            .end(),
        "zip entry \"x/data/0\" overlaps another one");
  }

  @Test
  void recordsOf64BitsAreChecked() {
    byte[] good = Archives.of(GOOD, new byte[4]);
    int end = good.length - 22;
    ByteBuffer from = ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer large = ByteBuffer.allocate(76 + good.length).order(ByteOrder.LITTLE_ENDIAN);
    large.put(good, 0, end).putInt(0x06064b50).putLong(44).putInt(0).putInt(0).putInt(0);
    large.putLong(3).putLong(3).putLong(from.getInt(end + 12)).putLong(from.getInt(end + 16));
    large.putInt(0x07064b50).putInt(0).putLong(end).putInt(1);
    large.put(good, end, 22);
    assertThat(read(large.array()).tensors()).hasSize(1);
    // Numbers that do not fit into the short record.
    ByteBuffer only = ByteBuffer.wrap(large.array().clone()).order(ByteOrder.LITTLE_ENDIAN);
    only.putShort(end + 76 + 8, (short) -1).putShort(end + 76 + 10, (short) -1);
    only.putInt(end + 76 + 12, -1).putInt(end + 76 + 16, -1);
    assertThat(read(only.array()).tensors()).hasSize(1);
    // Every byte of the records is checked, apart from versions and numbers of disks.
    for (int at : new int[] {0, 4, 24, 32, 40, 48, 56, 60, 64}) {
      for (int value : new int[] {0x7F, 0x80, 0xFF}) {
        byte[] lie = only.array().clone();
        lie[end + at] = (byte) value;
        lie[end + at + 3] ^= (byte) value;
        // Without a locator there is no 64-bit record, and the directory ends too early.
        refused(lie);
      }
    }
    byte[] differs = large.array().clone();
    differs[end + 76 + 8] = 2;
    differs[end + 76 + 10] = 2;
    refused(differs, "two zip directories differ");
  }
}
