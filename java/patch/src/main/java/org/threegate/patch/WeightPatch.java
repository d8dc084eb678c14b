package org.threegate.patch;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;

/**
 * What turns one checkpoint into another, bit for bit: made, read, applied. docs/patches.md has the
 * formats.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned)) {
 *   WeightPatch.create(
 *       context, before, after, Path.of("patch.safetensors"), WeightPatch.Options.PLANAR, WeightPatch.Progress.NONE);
 * }
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     WeightPatch patch = WeightPatch.open(context, Path.of("patch.safetensors"))) {
 *   patch.apply(before, Path.of("patched"), WeightPatch.Progress.NONE);
 * }
 * }</pre>
 */
public final class WeightPatch implements AutoCloseable {
  /**
   * How a patch is written.
   *
   * @param gaps of {@link PatchFormat#SPARSE}: positions as gaps, not as they are
   * @param version that it leads to
   * @param baseVersion that it begins with
   */
  public record Options(
      PatchFormat format, ChecksumFormat checksum, boolean gaps, long version, long baseVersion) {
    /** The smallest. */
    public static final Options PLANAR =
        new Options(PatchFormat.PLANAR, ChecksumFormat.XXH3_128, true, 1, 0);

    public Options {
      if (baseVersion < 0 || version <= baseVersion) {
        throw new IllegalArgumentException(
            "version " + version + " from " + baseVersion + "; versions ascend from 0");
      }
    }
  }

  /** Is told how far it is. */
  @FunctionalInterface
  public interface Progress {
    Progress NONE = (tensor, done, total) -> {};

    /**
     * @param done bytes
     */
    void at(String tensor, long done, long total);
  }

  /**
   * A tensor that it changes.
   *
   * @param stored what the patch has of it
   * @param positions of {@link PatchFormat#SPARSE}, where {@code stored} has the values
   * @param digest of all its bytes afterwards
   * @param baseDigest and before, where the patch says
   */
  private record Patched(
      Tensor stored, Optional<Tensor> positions, String digest, Optional<String> baseDigest) {}

  /** What a patch does to a tensor. */
  public record Entry(String name, long storedBytes, String digest) {}

  private final Path path;
  private final Context context;
  private final Options options;
  private final List<SafetensorsFile> files;
  private final Map<String, Patched> tensors;

  private WeightPatch(
      Path path,
      Context context,
      Options options,
      List<SafetensorsFile> files,
      Map<String, Patched> tensors) {
    this.path = path;
    this.context = context;
    this.options = options;
    this.files = files;
    this.tensors = tensors;
  }

  static boolean isDirectory(PatchFormat format) {
    return format == PatchFormat.DISK_DELTA_XOR || format == PatchFormat.DISK_DELTA_OVERWRITE;
  }

  /**
   * Makes a patch.
   *
   * @param out a file, or the directory of a disk delta
   * @throws InvalidInputException when the checkpoints do not have the same tensors
   */
  public static void create(
      Context context,
      Checkpoint before,
      Checkpoint after,
      Path out,
      Options options,
      Progress progress)
      throws IOException {
    for (String name : before.tensors().keySet()) {
      if (!after.tensors().containsKey(name)) {
        throw new InvalidInputException(
            after.path() + ": tensor \"" + name + "\" of " + before.path() + " is missing");
      }
    }
    long total = after.tensors().values().stream().mapToLong(Tensor::bytes).sum();
    long done = 0;
    try (PatchWriter writer = new PatchWriter(context, options, out)) {
      for (Tensor tensor : after.tensors().values()) {
        progress.at(tensor.name(), done, total);
        Tensor old = before.tensors().get(tensor.name());
        if (old == null) {
          throw new InvalidInputException(
              after.path() + ": tensor \"" + tensor.name() + "\" is not in " + before.path());
        }
        writer.add(new Change(old, tensor));
        done += tensor.bytes();
      }
      before.check();
      after.check();
      writer.finish();
    }
    progress.at("", total, total);
  }

  /**
   * Opens a patch of any format.
   *
   * @throws InvalidInputException when it is none, or damaged
   */
  public static WeightPatch open(Context context, Path path) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(path + ": no such file or directory");
    }
    return Files.isDirectory(path) ? openDelta(context, path) : openFile(context, path);
  }

  private static WeightPatch openDelta(Context context, Path path) {
    JsonNode index = Json.readObject(path.resolve(PatchWriter.INDEX));
    JsonNode metadata = index.path("metadata");
    String encoding = metadata.path("delta_encoding").asText("");
    PatchFormat format =
        switch (encoding) {
          case "xor" -> PatchFormat.DISK_DELTA_XOR;
          case "overwrite" -> PatchFormat.DISK_DELTA_OVERWRITE;
          case "" ->
              throw new InvalidInputException(
                  path + ": a full checkpoint, not a patch: there is no delta_encoding");
          default ->
              throw new InvalidInputException(
                  path + ": delta_encoding \"" + encoding + "\"; there are xor and overwrite");
        };
    if (!metadata.path("compression_format").asText("zstd").equals("zstd")) {
      throw new InvalidInputException(
          path + ": compression_format " + metadata.path("compression_format") + "; zstd is known");
    }
    Options options =
        options(
            path,
            format,
            metadata.path("checksum_format").asText(""),
            false,
            metadata.path("version").asText(""),
            metadata.path("base_version").asText(""));
    Map<String, Patched> tensors = new LinkedHashMap<>();
    Map<String, SafetensorsFile> shards = new LinkedHashMap<>();
    try {
      for (Map.Entry<String, JsonNode> entry : index.path("weight_map").properties()) {
        String shard = entry.getValue().asText("");
        if (!Path.of(shard).getFileName().toString().equals(shard)) {
          throw new InvalidInputException(path + ": shard \"" + shard + "\" is no file's name");
        }
        SafetensorsFile file =
            shards.computeIfAbsent(
                shard, name -> SafetensorsFile.open(context, path.resolve(name)));
        tensors.put(entry.getKey(), frame(file, entry.getKey(), entry.getKey(), Optional.empty()));
      }
      return new WeightPatch(path, context, options, List.copyOf(shards.values()), tensors);
    } catch (RuntimeException e) {
      shards.values().forEach(SafetensorsFile::close);
      throw e;
    }
  }

  private static Patched frame(
      SafetensorsFile file, String name, String digestKey, Optional<String> baseDigest) {
    Tensor stored = stored(file, name);
    if (stored.type() != TensorType.U8 || stored.shape().size() != 1) {
      throw new InvalidInputException(file.path() + ": tensor \"" + name + "\" is no vector of U8");
    }
    return new Patched(stored, Optional.empty(), digest(file, digestKey), baseDigest);
  }

  private static Tensor stored(SafetensorsFile file, String name) {
    return file.tensors().stream()
        .filter(tensor -> tensor.name().equals(name))
        .findFirst()
        .orElseThrow(
            () -> new InvalidInputException(file.path() + ": tensor \"" + name + "\" is missing"));
  }

  private static String digest(SafetensorsFile file, String key) {
    String digest = file.metadata().get(key);
    if (digest == null) {
      throw new InvalidInputException(file.path() + ": metadata \"" + key + "\" is missing");
    }
    return digest;
  }

  private static Options options(
      Path path, PatchFormat format, String checksum, boolean gaps, String to, String from) {
    ChecksumFormat known =
        ChecksumFormat.byLabel(checksum)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        path
                            + ": checksum_format \""
                            + checksum
                            + "\"; there are xxh3-128, blake3 and adler32"));
    try {
      return new Options(format, known, gaps, Long.parseLong(to), Long.parseLong(from));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          path + ": version \"" + to + "\" from \"" + from + "\" in its metadata", e);
    }
  }

  private static WeightPatch openFile(Context context, Path path) {
    SafetensorsFile file = SafetensorsFile.open(context, path);
    try {
      Map<String, String> metadata = file.metadata();
      String named = metadata.getOrDefault("format", "");
      boolean sparse = named.equals(PatchWriter.SPARSE);
      if (!sparse && !named.equals(PatchWriter.PLANAR)) {
        throw new InvalidInputException(path + ": no weight patch; its format is \"" + named + '"');
      }
      String encoding = metadata.getOrDefault("encoding", "");
      if (sparse && !encoding.equals("raw") && !encoding.equals("gaps")) {
        throw new InvalidInputException(
            path + ": encoding \"" + encoding + "\"; there are raw and gaps");
      }
      Options options =
          options(
              path,
              sparse ? PatchFormat.SPARSE : PatchFormat.PLANAR,
              metadata.getOrDefault("checksum_format", ""),
              encoding.equals("gaps"),
              metadata.getOrDefault("version", ""),
              metadata.getOrDefault("base_version", ""));
      Map<String, Patched> tensors = new LinkedHashMap<>();
      for (Tensor tensor : file.tensors()) {
        String name = tensor.name();
        if (sparse && name.endsWith(".val")) {
          name = name.substring(0, name.length() - ".val".length());
          tensors.put(
              name,
              new Patched(
                  tensor,
                  Optional.of(stored(file, name + ".idx")),
                  digest(file, "digest." + name),
                  Optional.of(digest(file, "base_digest." + name))));
        } else if (!sparse) {
          String base = digest(file, "base_digest." + name);
          tensors.put(name, frame(file, name, "digest." + name, Optional.of(base)));
        }
      }
      return new WeightPatch(path, context, options, List.of(file), tensors);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** How it is written, and between which versions it leads. */
  public Options options() {
    return options;
  }

  /** Tensors that it changes. */
  public List<Entry> entries() {
    List<Entry> entries = new ArrayList<>();
    tensors.forEach(
        (name, own) ->
            entries.add(
                new Entry(
                    name,
                    own.stored().bytes() + own.positions().map(Tensor::bytes).orElse(0L),
                    own.digest())));
    return Collections.unmodifiableList(entries);
  }

  /**
   * Writes the patched model: every tensor that changes has the bytes whose digest the patch
   * carries, or nothing is written.
   *
   * @param out a new directory
   * @throws InvalidInputException when the patch is damaged, or of another base
   */
  public void apply(Checkpoint base, Path out, Progress progress) throws IOException {
    Map<String, SafetensorsWriter.Data> changed = new LinkedHashMap<>();
    long total = 0;
    for (Map.Entry<String, Patched> entry : tensors.entrySet()) {
      total += target(base, entry.getKey()).bytes();
    }
    long all = total;
    long[] done = {0};
    for (Map.Entry<String, Patched> entry : tensors.entrySet()) {
      Tensor tensor = target(base, entry.getKey());
      changed.put(
          entry.getKey(),
          to -> {
            progress.at(entry.getKey(), done[0], all);
            applied(tensor, entry.getValue(), part -> Bytes.writeFully(to, part));
            done[0] += tensor.bytes();
          });
    }
    try {
      ModelCopy.write(base, changed, out);
    } finally {
      files.forEach(SafetensorsFile::check);
    }
    progress.at("", all, all);
  }

  /** Applies in memory and compares digests; nothing is written. */
  public void verify(Checkpoint base, Progress progress) throws IOException {
    long total = 0;
    for (String name : tensors.keySet()) {
      total += target(base, name).bytes();
    }
    long done = 0;
    for (Map.Entry<String, Patched> entry : tensors.entrySet()) {
      Tensor tensor = target(base, entry.getKey());
      progress.at(entry.getKey(), done, total);
      applied(tensor, entry.getValue(), part -> {});
      done += tensor.bytes();
    }
    base.check();
    progress.at("", total, total);
  }

  /** Whether a checkpoint is what it leads to, as far as it changes anything. */
  public boolean leadsTo(Checkpoint model) {
    for (Map.Entry<String, Patched> entry : tensors.entrySet()) {
      Tensor tensor = target(model, entry.getKey());
      ChecksumFormat.Checksum sum = options.checksum().begin();
      for (long at = 0; at < tensor.bytes(); at += Change.CHUNK) {
        sum.update(
            PatchWriter.slice(tensor, at, (int) Math.min(Change.CHUNK, tensor.bytes() - at)));
      }
      if (!sum.hex().equals(entry.getValue().digest())) {
        return false;
      }
    }
    return true;
  }

  private Tensor target(Checkpoint base, String name) {
    Tensor tensor = base.tensors().get(name);
    if (tensor == null) {
      throw new InvalidInputException(
          path + ": changes tensor \"" + name + "\", which is not in " + base.path());
    }
    return tensor;
  }

  /**
   * What it makes of each tensor that it changes, chunk by chunk, whose digests are compared at the
   * end of each.
   */
  void forEachChunk(Checkpoint base, ChunkVisit visit) throws IOException {
    for (Map.Entry<String, Patched> entry : tensors.entrySet()) {
      Tensor tensor = target(base, entry.getKey());
      long[] at = {tensor.offset()};
      applied(
          tensor,
          entry.getValue(),
          part -> {
            int bytes = part.remaining();
            visit.chunk(tensor, at[0], part);
            at[0] += bytes;
          });
    }
    base.check();
    files.forEach(SafetensorsFile::check);
  }

  /** Is shown patched bytes. */
  interface ChunkVisit {
    /**
     * @param offset in the tensor's file
     */
    void chunk(Tensor tensor, long offset, ByteBuffer patched) throws IOException;
  }

  private interface Output {
    void put(ByteBuffer part) throws IOException;
  }

  /** A tensor chunk by chunk, patched, and its digests. */
  private void applied(Tensor tensor, Patched patched, Output output) throws IOException {
    int width = options.format() == PatchFormat.DISK_DELTA_OVERWRITE ? 1 : Change.width(tensor);
    long all = tensor.bytes() / width;
    int room = (int) Math.min(Change.CHUNK, all);
    ChecksumFormat.Checksum before = options.checksum().begin();
    ChecksumFormat.Checksum after = options.checksum().begin();
    try (NativeBuffer chunk = context.allocate(Math.max(1, (long) room * width));
        PatchReader reader =
            PatchReader.open(
                context, options, tensor, patched.stored(), patched.positions(), width)) {
      for (long begin = 0; begin < all; begin += Change.CHUNK) {
        int count = (int) Math.min(Change.CHUNK, all - begin);
        ByteBuffer part = chunk.slice(0, count * width);
        part.put(PatchWriter.slice(tensor, begin * width, count * width)).flip();
        if (patched.baseDigest().isPresent()) {
          before.update(part.duplicate());
        }
        reader.apply(new ChangedElements.Elements(chunk, 0, count, width), begin);
        after.update(part.duplicate());
        output.put(part);
      }
      reader.requireEnd();
    } catch (KernelException e) {
      if (e.status() == Status.INVALID_ARGUMENT) {
        throw refused(patched, e.getMessage());
      }
      throw e;
    }
    if (patched.baseDigest().isPresent() && !before.hex().equals(patched.baseDigest().get())) {
      throw refused(
          patched, "is of another base: the digest of " + tensor.file().path() + "'s differs");
    }
    if (!after.hex().equals(patched.digest())) {
      throw refused(
          patched,
          "does not lead to the bytes whose digest it carries: it is damaged, or of another base than "
              + tensor.file().path());
    }
  }

  private static InvalidInputException refused(Patched patched, String why) {
    return new InvalidInputException(
        patched.stored().file().path() + ": tensor \"" + patched.stored().name() + "\" " + why);
  }

  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }
}
