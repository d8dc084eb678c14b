package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.dynatrace.hash4j.hashing.HashValue128;
import com.dynatrace.hash4j.hashing.Hashing;
import com.github.luben.zstd.Zstd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/**
 * Tests that patches lead from one checkpoint to another, bit for bit, or report why they do not.
 */
@ExtendWith(NativeLeaks.class)
@Tag("binding")
class WeightPatchTest {
  private static final int LARGE = ChunkLayout.CHUNK + 77; // elements of a tensor of two chunks

  @TempDir Path directory;

  private record Model(String name, TensorType type, byte[] before, byte[] after) {}

  /**
   * Returns a tensor in which some elements change by one bit, anywhere. The bit may be the sign of
   * a zero or in the payload of a NaN.
   */
  private static Model model(
      String name, TensorType type, int bytes, double density, Random random) {
    byte[] before = new byte[bytes];
    random.nextBytes(before);
    byte[] after = before.clone();
    int width = Math.max(1, type.bits() / 8);
    for (int i = 0; i + width <= bytes; i += width) {
      if (random.nextDouble() < density) {
        after[i + random.nextInt(width)] ^= (byte) (1 << random.nextInt(8));
      }
    }
    return new Model(name, type, before, after);
  }

  private static void write(Path path, List<Model> models, boolean after) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    for (Model model : models) {
      long elements = model.before().length * 8L / model.type().bits();
      writer.tensor(
          model.name(), model.type(), List.of(elements), after ? model.after() : model.before());
    }
    writer.write(path);
  }

  private Path base() {
    return directory.resolve("base/model.safetensors");
  }

  private Path tuned() {
    return directory.resolve("tuned/model.safetensors");
  }

  private void write(List<Model> models) throws IOException {
    Files.createDirectories(base().getParent());
    Files.createDirectories(tuned().getParent());
    write(base(), models, false);
    write(tuned(), models, true);
  }

  private Path create(Context context, PatchOptions options, String name) throws IOException {
    Path patch = directory.resolve(name);
    try (Checkpoint before = Checkpoint.open(context, base().getParent());
        Checkpoint after = Checkpoint.open(context, tuned().getParent())) {
      new PatchCreator(context, options).create(before, after, patch, Progress.NONE);
    }
    return patch;
  }

  private static PatchOptions options(PatchFormat format, boolean gaps) {
    return PatchOptions.of(format)
        .withPositions(gaps ? PositionEncoding.GAPS : PositionEncoding.RAW)
        .withVersions(new PatchVersions(2, 3));
  }

  private static void apply(Context context, Path from, Path patch, Path out) throws IOException {
    try (Checkpoint before = Checkpoint.open(context, from);
        WeightPatch opened = WeightPatch.open(context, patch)) {
      new PatchApplier(opened, before).apply(out, Progress.NONE);
    }
  }

  private static byte[] bytes(Tensor tensor) {
    return tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes());
  }

  private static Map<String, byte[]> contents(Context context, Path file) {
    Map<String, byte[]> contents = new LinkedHashMap<>();
    try (SafetensorsFile opened = SafetensorsFile.open(context, file)) {
      opened.tensors().forEach(tensor -> contents.put(tensor.name(), bytes(tensor)));
    }
    return contents;
  }

  @ParameterizedTest
  @EnumSource(PatchFormat.class)
  void patchedIsTunedBitForBit(PatchFormat format) throws IOException {
    Random random = Seeds.random("patchedIsTunedBitForBit" + format);
    List<Model> models = new ArrayList<>();
    int number = 0;
    for (TensorType type :
        List.of(
            TensorType.BF16,
            TensorType.F32,
            TensorType.F64,
            TensorType.F8_E4M3,
            TensorType.I64,
            TensorType.BOOL,
            TensorType.F4)) {
      for (double density : new double[] {0, 0.01, 0.5, 1}) {
        models.add(model("t" + number++, type, 8 * random.nextInt(400), density, random));
      }
    }
    models.add(model("empty", TensorType.BF16, 0, 0, random));
    models.add(model("large", TensorType.BF16, 2 * LARGE, 0.01, random));
    write(models);
    Files.writeString(base().resolveSibling("config.json"), "{}");
    try (Context context = Context.open()) {
      for (boolean gaps :
          format == PatchFormat.SPARSE ? new boolean[] {true, false} : new boolean[] {true}) {
        Path patch = create(context, options(format, gaps), "patch-" + gaps);
        Path out = directory.resolve("out-" + gaps);
        apply(context, base().getParent(), patch, out);
        Map<String, byte[]> patched = contents(context, out.resolve("model.safetensors"));
        assertThat(patched).hasSize(models.size());
        for (Model model : models) {
          assertThat(Arrays.equals(patched.get(model.name()), model.after()))
              .as(model.name())
              .isTrue();
        }
        assertThat(out.resolve("config.json")).exists();
        try (Checkpoint before = Checkpoint.open(context, base().getParent());
            Checkpoint other = Checkpoint.open(context, tuned().getParent());
            WeightPatch opened = WeightPatch.open(context, patch)) {
          assertThat(opened.options().format()).isEqualTo(format);
          assertThat(opened.options().versions().target()).isEqualTo(3);
          assertThat(opened.options().versions().base()).isEqualTo(2);
          assertThat(opened.entries())
              .hasSize(
                  (int)
                      models.stream()
                          .filter(model -> !Arrays.equals(model.before(), model.after()))
                          .count());
          new PatchVerifier(opened).verify(before, Progress.NONE);
          // A patch refuses another base, which here is the target. An overwriting delta leads from
          // there to the target, too.
          if (format != PatchFormat.DISK_DELTA_OVERWRITE) {
            assertThatThrownBy(() -> new PatchVerifier(opened).verify(other, Progress.NONE))
                .isInstanceOf(InvalidInputException.class)
                .hasMessageContaining("from another base");
          }
        }
        assertThat(files(directory)).noneMatch(name -> name.contains("partial"));
      }
    }
  }

  private static List<String> files(Path directory) throws IOException {
    try (var files = Files.walk(directory)) {
      return files.map(Path::toString).toList();
    }
  }

  private static byte[] hex(String digits) {
    return HexFormat.of().parseHex(digits.replace(" ", ""));
  }

  private static byte[] content(Tensor stored) {
    byte[] frame = bytes(stored);
    // The header of a frame contains the length of its contents.
    long size = Zstd.getFrameContentSize(frame);
    return Zstd.decompress(frame, Math.toIntExact(size));
  }

  @Test
  void diskDeltasAreThoseOfTheirSpecification() throws IOException {
    write(
        List.of(
            new Model("w", TensorType.BF16, hex("803f"), hex("813f")),
            new Model("same", TensorType.BF16, hex("803f"), hex("803f"))));
    try (Context context = Context.open()) {
      Path xor = create(context, options(PatchFormat.DISK_DELTA_XOR, true), "weight_v000003");
      Path overwrite = create(context, options(PatchFormat.DISK_DELTA_OVERWRITE, true), "other");
      for (Path patch : List.of(xor, overwrite)) {
        try (SafetensorsFile shard =
            SafetensorsFile.open(context, patch.resolve(PatchMetadata.SHARD))) {
          assertThat(shard.tensors()).hasSize(1);
          Tensor stored = shard.tensors().get(0);
          assertThat(stored.type()).isEqualTo(TensorType.U8);
          assertThat(content(stored))
              .isEqualTo(patch.equals(xor) ? hex("01 00") : hex("01000000 00000000 81"));
          // Another implementation computes the expected digest.
          HashValue128 digest = Hashing.xxh3_128().hashBytesTo128Bits(hex("813f"));
          assertThat(shard.metadata())
              .containsEntry(
                  "w",
                  HexFormat.of().toHexDigits(digest.getMostSignificantBits())
                      + HexFormat.of().toHexDigits(digest.getLeastSignificantBits()));
        }
        assertThat(Files.readString(patch.resolve(PatchMetadata.INDEX)).replaceAll("\\s", ""))
            .isEqualTo(
                "{\"metadata\":{\"version\":3,\"base_version\":2,\"delta_encoding\":\""
                    + (patch.equals(xor) ? "xor" : "overwrite")
                    + "\",\"compression_format\":\"zstd\",\"checksum_format\":\"xxh3-128\"},"
                    + "\"weight_map\":{\"w\":\"model-00001-of-00001.safetensors\"}}");
      }
    }
  }

  @Test
  void planarPatchesAreThoseOfTheirSpecification() throws IOException {
    write(List.of(new Model("w", TensorType.BF16, hex("803f803f803f"), hex("803f813f80bf"))));
    try (Context context = Context.open()) {
      Path patch = create(context, options(PatchFormat.PLANAR, true), "planar.safetensors");
      try (SafetensorsFile file = SafetensorsFile.open(context, patch)) {
        byte[] contents = new byte[64];
        long count =
            Zstd.decompressByteArray(
                contents,
                0,
                contents.length,
                bytes(file.tensors().get(0)),
                0,
                (int) file.tensors().get(0).bytes());
        assertThat(Arrays.copyOf(contents, (int) count))
            .isEqualTo(hex("02000000 0100 0000 0000 0100 0080"));
        assertThat(file.metadata())
            .containsEntry("format", "threegate-planar-patch")
            .containsEntry("tensor.w", "BF16[3]")
            .containsKeys("digest.w", "base_digest.w");
      }
    }
  }

  @Test
  void sparseTensorsAreThoseOfTheirSpecification() throws IOException {
    byte[] before = new byte[2 * 70002];
    byte[] after = before.clone();
    for (int position : new int[] {0, 5, 6, 70000}) {
      after[2 * position + 1] = (byte) 0x80; // zeros whose sign flips
    }
    write(List.of(new Model("w", TensorType.BF16, before, after)));
    try (Context context = Context.open()) {
      Path gaps = create(context, options(PatchFormat.SPARSE, true), "gaps.safetensors");
      Path raw = create(context, options(PatchFormat.SPARSE, false), "raw.safetensors");
      for (Path patch : List.of(gaps, raw)) {
        try (SafetensorsFile file = SafetensorsFile.open(context, patch)) {
          Tensor positions = file.tensors().get(0);
          assertThat(positions.name()).isEqualTo("w.idx");
          assertThat(positions.type()).isEqualTo(patch == raw ? TensorType.I32 : TensorType.U32);
          ByteBuffer numbers = ByteBuffer.wrap(bytes(positions)).order(ByteOrder.LITTLE_ENDIAN);
          for (int number :
              patch == raw ? new int[] {0, 5, 6, 70000} : new int[] {0, 4, 0, 69993}) {
            assertThat(numbers.getInt()).isEqualTo(number);
          }
          assertThat(file.tensors().get(1).type()).isEqualTo(TensorType.BF16);
          assertThat(bytes(file.tensors().get(1))).isEqualTo(hex("0080 0080 0080 0080"));
          assertThat(file.metadata())
              .containsEntry("format", "sparse_weight_patch")
              .containsEntry("num_changed_params", "1")
              .containsEntry("total_changed_elements", "4")
              .containsEntry("total_elements", "70002")
              .containsEntry("encoding", patch == raw ? "raw" : "gaps");
        }
      }
    }
  }

  @Test
  void checksumsAreThoseOfTheirAuthors() {
    Map<ChecksumFormat, String> expected =
        Map.of(
            ChecksumFormat.XXH3_128, "99aa06d3014798d86001c324468d497f",
            ChecksumFormat.BLAKE3,
                "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            ChecksumFormat.ADLER32, "00000001");
    Map<ChecksumFormat, String> ofWikipedia =
        Map.of(
            ChecksumFormat.XXH3_128, "33d468536730462c812e3ed6c425b7ea",
            ChecksumFormat.BLAKE3,
                "6072e64cd9a49de275172611aee2d3555bdc72d047a8d99f4e2be1b19370095c",
            ChecksumFormat.ADLER32, "11e60398");
    byte[] text = "Wikipedia".getBytes(StandardCharsets.US_ASCII);
    try (Context context = Context.open();
        NativeBuffer buffer = context.allocate(text.length)) {
      buffer.putBytes(0, text);

      for (ChecksumFormat format : ChecksumFormat.values()) {
        try (ChecksumFormat.Checksum sum = format.begin(context)) {
          assertThat(sum.hex()).isEqualTo(expected.get(format));
        }
        try (ChecksumFormat.Checksum sum = format.begin(context)) {
          sum.update(new Range(buffer, 0, 4));
          sum.update(new Range(buffer, 4, text.length - 4));
          assertThat(sum.hex()).isEqualTo(ofWikipedia.get(format));
        }
      }
    }
  }

  /**
   * A patch with flipped, cut or overwritten bytes gives the right result or is refused with one
   * sentence.
   */
  @ParameterizedTest
  @EnumSource(PatchFormat.class)
  void damagedPatchesAreRefused(PatchFormat format) throws IOException {
    Random random = Seeds.random("damagedPatchesAreRefused" + format);
    List<Model> models =
        List.of(
            model("a", TensorType.BF16, 600, 0.2, random),
            model("b", TensorType.F32, 400, 0.05, random));
    write(models);
    try (Context context = Context.open()) {
      Path patch = create(context, options(format, true), "patch");
      Path file = Files.isDirectory(patch) ? patch.resolve(PatchMetadata.SHARD) : patch;
      byte[] whole = Files.readAllBytes(file);
      int refused = 0;
      for (int trial = 0; trial < 400; trial++) {
        byte[] damaged = whole.clone();
        int at = random.nextInt(damaged.length);
        switch (random.nextInt(3)) {
          case 0 -> damaged[at] ^= (byte) (1 << random.nextInt(8));
          case 1 -> damaged = Arrays.copyOf(damaged, at);
          default -> {
            for (int i = at; i < Math.min(damaged.length, at + 4); i++) {
              damaged[i] = (byte) 0xff;
            }
          }
        }
        Files.write(file, damaged);
        Path out = directory.resolve("out");
        try {
          apply(context, base().getParent(), patch, out);
          Map<String, byte[]> patched = contents(context, out.resolve("model.safetensors"));
          for (Model model : models) {
            // A changed name may remove a tensor from the patch. The tensor then keeps its old
            // bytes.
            assertThat(patched.get(model.name())).isIn(model.after(), model.before());
          }
          Files.delete(out.resolve("model.safetensors"));
          Files.delete(out);
        } catch (InvalidInputException e) {
          assertThat(e.getMessage().lines()).hasSize(1);
          assertThat(out).doesNotExist();
          refused++;
        }
      }
      assertThat(refused).isGreaterThan(300);
    }
  }

  @Test
  void whatIsNoPatchIsRefused() throws IOException {
    Random random = new Random(1);
    write(List.of(model("a", TensorType.BF16, 60, 0.5, random)));
    try (Context context = Context.open()) {
      assertThatThrownBy(() -> WeightPatch.open(context, directory.resolve("none")))
          .hasMessageContaining("no such file");
      assertThatThrownBy(() -> WeightPatch.open(context, base()))
          .hasMessageContaining("not a weight patch; its format is \"pt\"");
      Path full = Files.createDirectory(directory.resolve("full"));
      Files.writeString(
          full.resolve(PatchMetadata.INDEX), "{\"metadata\": {}, \"weight_map\": {}}");
      assertThatThrownBy(() -> WeightPatch.open(context, full))
          .hasMessageContaining("a full checkpoint, not a patch");
      Files.writeString(
          full.resolve(PatchMetadata.INDEX),
          "{\"metadata\": {\"version\": 2, \"base_version\": 1, \"delta_encoding\": \"xor\", \"checksum_format\": \"adler32\"}, \"weight_map\": {\"w\": \"../base/model.safetensors\"}}");
      assertThatThrownBy(() -> WeightPatch.open(context, full))
          .hasMessageContaining("not a plain file name");
      write(tuned(), List.of(model("b", TensorType.BF16, 60, 0.5, random)), true);
      assertThatThrownBy(() -> create(context, PatchOptions.of(PatchFormat.PLANAR), "p"))
          .hasMessageContaining("tensor \"a\" of");
      write(tuned(), List.of(model("a", TensorType.F16, 60, 0.5, random)), true);
      assertThatThrownBy(() -> create(context, PatchOptions.of(PatchFormat.PLANAR), "p"))
          .hasMessageContaining("is F16[30], but BF16[30]");
      assertThat(files(directory)).noneMatch(name -> name.contains("partial"));
      assertThatThrownBy(
              () ->
                  PatchOptions.of(PatchFormat.PLANAR)
                      .withChecksum(ChecksumFormat.BLAKE3)
                      .withVersions(new PatchVersions(2, 2)))
          .hasMessageContaining("versions must increase");
      assertThatThrownBy(() -> PatchFormat.of("zip")).hasMessageContaining("disk-delta-xor");
    }
  }

  /** Checks the bytes per changed element of a random update of Gaussian weights, by density. */
  @Test
  void planarPatchesAreSmall() throws IOException {
    Random random = Seeds.random("planarPatchesAreSmall");
    int elements = 1 << 22;
    Map<Double, Double> most = Map.of(0.01, 1.6, 0.03, 1.35, 0.1, 1.15);
    for (Map.Entry<Double, Double> target : most.entrySet()) {
      byte[] before = new byte[2 * elements];
      byte[] after = new byte[2 * elements];
      ByteBuffer first = ByteBuffer.wrap(before).order(ByteOrder.LITTLE_ENDIAN);
      ByteBuffer second = ByteBuffer.wrap(after).order(ByteOrder.LITTLE_ENDIAN);
      int changed = 0;
      for (int i = 0; i < elements; i++) {
        short code = (short) (Float.floatToIntBits((float) (0.02 * random.nextGaussian())) >> 16);
        // A small step changes a number to the next one, up or down.
        boolean moves = random.nextDouble() < target.getKey();
        first.putShort(code);
        second.putShort((short) (moves ? code + (random.nextBoolean() ? 1 : -1) : code));
        changed += moves ? 1 : 0;
      }
      write(List.of(new Model("w", TensorType.BF16, before, after)));
      try (Context context = Context.open()) {
        Path patch =
            create(context, PatchOptions.of(PatchFormat.PLANAR), "planar-" + target.getKey());
        double each = Files.size(patch) / (double) changed;
        System.out.printf(
            "planar, density %s: %.3f bytes a changed element%n", target.getKey(), each);
        assertThat(each).as("density " + target.getKey()).isLessThan(target.getValue());
      }
    }
  }

  /** A patch of a checkpoint of several processes is that of the same tensors in one file. */
  @ParameterizedTest
  @ValueSource(strings = {"dcp-grid", "ranks-grid", "zero-3", "views"})
  void tensorsInPiecesGiveTheSamePatch(String name) throws IOException {
    Path torch =
        Path.of(System.getProperty("threegate.root"))
            .resolve("java/checkpoint/src/test/resources/torch");
    Path whole = torch.resolve("expected/" + name + ".safetensors");
    Path changed = directory.resolve("changed.safetensors");
    PatchOptions options = PatchOptions.of(PatchFormat.PLANAR);
    try (Context context = Context.open(Context.Device.CPU, 2);
        Checkpoint pieces = Checkpoint.open(context, torch.resolve(name));
        Checkpoint same = Checkpoint.open(context, whole)) {
      SafetensorsWriter writer = new SafetensorsWriter();
      for (Tensor tensor : same.tensors().values()) {
        byte[] bytes = tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes());
        for (int i = 0; i < bytes.length; i += 7) {
          bytes[i] ^= 1;
        }
        writer.tensor(tensor.name(), tensor.type(), tensor.shape(), bytes);
      }
      writer.write(changed);
      try (Checkpoint base = Checkpoint.open(context, changed)) {
        Path patch = directory.resolve("patch.safetensors");
        new PatchCreator(context, options).create(base, pieces, patch, Progress.NONE);
        Path out = directory.resolve("out.safetensors");
        apply(context, changed, patch, out);
        try (Checkpoint patched = Checkpoint.open(context, out)) {
          for (Tensor tensor : same.tensors().values()) {
            Tensor own = patched.tensors().get(tensor.name());
            assertThat(own.file().buffer().getBytes(own.offset(), own.bytes()))
                .as(tensor.name())
                .isEqualTo(tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes()));
          }
        }
        if (!pieces.parts().isEmpty()) {
          assertThatThrownBy(
                  () ->
                      new PatchCreator(context, options)
                          .create(pieces, base, directory.resolve("no"), Progress.NONE))
              .isInstanceOf(InvalidInputException.class)
              .hasMessageContaining("lies in pieces, where no patch applies");
        }
      }
    }
  }
}
