package org.threegate.patch;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.FileNames;
import org.threegate.file.InputFiles;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * What turns one checkpoint into another, bit for bit: made, read, applied. docs/patches.md has the
 * formats.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned)) {
 *   WeightPatch.create(
 *       context, before, after, Path.of("patch.safetensors"), WeightPatch.Options.PLANAR, Progress.NONE);
 * }
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     WeightPatch patch = WeightPatch.open(context, Path.of("patch.safetensors"))) {
 *   patch.apply(before, Path.of("patched"), Progress.NONE);
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

    /** The same from where patches begin to where they lead, each from the one before. */
    private Options along(List<WeightPatch> patches) {
      if (patches.isEmpty()) {
        throw new InvalidInputException("no patches to make one of");
      }
      long begin = patches.get(0).options.baseVersion;
      long end = begin;
      for (WeightPatch patch : patches) {
        if (patch.options.baseVersion != end) {
          throw new InvalidInputException(
              patch.path
                  + ": begins with version "
                  + patch.options.baseVersion
                  + ", and what is before it leads to "
                  + end);
        }
        end = patch.options.version;
      }
      return new Options(format, checksum, gaps, end, begin);
    }
  }

  /**
   * A tensor that it changes.
   *
   * @param stored what the patch has of it
   * @param positions of {@link PatchFormat#SPARSE}, where {@code stored} has the values
   * @param digest of all its bytes afterwards, where the patch says
   * @param baseDigest and before, where the patch says
   */
  record Patched(
      Tensor stored,
      Optional<Tensor> positions,
      Optional<String> digest,
      Optional<String> baseDigest) {}

  /** What a patch does to a tensor; a digest where it has one. */
  public record Entry(String name, long storedBytes, Optional<String> digest) {}

  /** What is asked of a patch. */
  public enum Digests {
    /** Each tensor's, or it is refused. */
    REQUIRED,
    /**
     * Those that it has: plain sparse patches of other writers have none, and nothing can say
     * whether such a one was made of this base.
     */
    IF_PRESENT
  }

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
    for (Tensor tensor : after.tensors().values()) {
      if (!before.tensors().containsKey(tensor.name())) {
        throw new InvalidInputException(
            after.path() + ": tensor \"" + tensor.name() + "\" is not in " + before.path());
      }
      Change.requireLike(before.tensors().get(tensor.name()), tensor);
    }

    PatchWriter.write(
        options,
        out,
        writer -> {
          TensorLoop.run(
              context,
              List.copyOf(after.tensors().values()),
              progress,
              (own, index, tensor) -> {
                Tensor old = before.tensors().get(tensor.name());
                try (TensorReader reader = new TensorReader(own, tensor, Change.block(tensor))) {
                  writer.add(own, index, new Change(old, reader));
                }
              });
          before.check();
          after.check();
        });
  }

  /**
   * Makes one patch of several that follow one another, or another format of one: every one of them
   * is applied to the base and checked, tensor by tensor; no model is written.
   *
   * @param base what the first one was made of
   * @param out a file, or the directory of a disk delta
   * @param written how; from the first one's base version to the last one's version, whatever it
   *     says
   * @throws InvalidInputException when they do not follow one another, are damaged or of another
   *     base
   */
  public static void combine(
      Context context,
      Checkpoint base,
      List<WeightPatch> patches,
      Path out,
      Options written,
      Progress progress)
      throws IOException {
    Options options = written.along(patches);
    for (WeightPatch patch : patches) {
      for (String name : patch.tensors.keySet()) {
        patch.target(base, name);
      }
    }

    PatchWriter.write(
        options,
        out,
        writer -> {
          TensorLoop.run(
              context,
              List.copyOf(base.tensors().values()),
              progress,
              (own, index, tensor) -> {
                List<PatchedTensor.Link> links =
                    patches.stream().flatMap(patch -> patch.link(tensor.name()).stream()).toList();
                if (links.isEmpty()) {
                  writer.skip(tensor);
                  return;
                }
                try (PatchedTensor patched = new PatchedTensor(own, tensor, links)) {
                  writer.add(own, index, new Change(tensor, patched));
                  patched.requireDigests();
                }
              });
          base.check();
          patches.forEach(WeightPatch::check);
        });
  }

  private Optional<PatchedTensor.Link> link(String name) {
    return Optional.ofNullable(tensors.get(name))
        .map(patched -> new PatchedTensor.Link(options, patched));
  }

  /** What it is, by its headers; by its contents where it carries no digests. */
  byte[] fingerprint() {
    List<Tensor> unsigned = new ArrayList<>();
    for (Patched patched : tensors.values()) {
      if (patched.digest().isEmpty()) {
        unsigned.add(patched.stored());
        patched.positions().ifPresent(unsigned::add);
      }
    }
    return Fingerprint.of(context, options, files, unsigned);
  }

  /** Digests of tensors of a model, as they will be, where it carries them. */
  Map<Tensor, String> digests(Checkpoint model) {
    Map<Tensor, String> digests = new LinkedHashMap<>();
    tensors.forEach(
        (name, patched) ->
            patched.digest().ifPresent(digest -> digests.put(target(model, name), digest)));
    return digests;
  }

  private void check() {
    files.forEach(SafetensorsFile::check);
  }

  /**
   * Opens a patch of any format that has digests.
   *
   * @throws InvalidInputException when it is none, or damaged
   */
  public static WeightPatch open(Context context, Path path) {
    return open(context, path, Digests.REQUIRED);
  }

  /** Opens a patch of any format. */
  public static WeightPatch open(Context context, Path path, Digests digests) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(path + ": no such file or directory");
    }
    // A version is a directory around a patch that is a file.
    Path patch =
        InputFiles.isThere(path.resolve(VersionDirectory.PATCH))
            ? path.resolve(VersionDirectory.PATCH)
            : path;
    return Files.isDirectory(patch) ? openDelta(context, patch) : openFile(context, patch, digests);
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
        String shard =
            FileNames.plain(
                entry.getValue().asText(""), path + ": tensor \"" + entry.getKey() + '"');
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
    return new Patched(stored, Optional.empty(), Optional.of(digest(file, digestKey)), baseDigest);
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

  private static Optional<String> digest(SafetensorsFile file, String key, Digests digests) {
    if (digests == Digests.REQUIRED && !file.metadata().containsKey(key)) {
      throw new InvalidInputException(
          file.path()
              + ": metadata \""
              + key
              + "\" is missing: nothing says what the patch was made of and what it leads to; --without-digests takes it all the same");
    }
    return Optional.ofNullable(file.metadata().get(key));
  }

  /** Other writers of sparse patches say which version one leads to, not which it begins with. */
  private static String before(String version) {
    return version.matches("[1-9][0-9]{0,17}") ? Long.toString(Long.parseLong(version) - 1) : "";
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

  private static WeightPatch openFile(Context context, Path path, Digests digests) {
    SafetensorsFile file = SafetensorsFile.open(context, path);
    try {
      Map<String, String> metadata = file.metadata();
      String named = metadata.getOrDefault("format", "");
      boolean sparse = named.equals(PatchWriter.SPARSE);
      if (!sparse && !named.equals(PatchWriter.PLANAR)) {
        throw new InvalidInputException(path + ": no weight patch; its format is \"" + named + '"');
      }
      String encoding = metadata.getOrDefault("encoding", sparse ? "raw" : "");
      if (sparse && !encoding.equals("raw") && !encoding.equals("gaps")) {
        throw new InvalidInputException(
            path + ": encoding \"" + encoding + "\"; there are raw and gaps");
      }
      Options options =
          options(
              path,
              sparse ? PatchFormat.SPARSE : PatchFormat.PLANAR,
              metadata.getOrDefault(
                  "checksum_format", sparse ? ChecksumFormat.XXH3_128.label() : ""),
              encoding.equals("gaps"),
              metadata.getOrDefault(sparse ? "model_version" : "version", ""),
              metadata.getOrDefault(
                  "base_version",
                  sparse ? before(metadata.getOrDefault("model_version", "")) : ""));
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
                  digest(file, "digest." + name, digests),
                  digest(file, "base_digest." + name, digests)));
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
    long all = bytes(base);
    long[] done = {0};

    tensors.forEach(
        (name, patched) -> {
          Tensor tensor = target(base, name);
          changed.put(
              name,
              to -> {
                progress.at(name, done[0], all);
                applied(context, tensor, patched, (begin, entries, part) -> part.write(to));
                done[0] += tensor.bytes();
              });
        });
    try {
      ModelCopy.write(base, changed, out);
    } finally {
      check();
    }
    progress.at("", all, all);
  }

  /** Applies in memory and compares digests; nothing is written. */
  public void verify(Checkpoint base, Progress progress) throws IOException {
    forEachChunk(base, progress, (own, tensor) -> (begin, entries, patched) -> {});
  }

  /** Whether a checkpoint is what it leads to, as far as it changes anything and has digests. */
  public boolean leadsTo(Checkpoint model) {
    for (Map.Entry<String, Patched> entry : tensors.entrySet()) {
      Tensor tensor = target(model, entry.getKey());
      try (ChecksumFormat.Checksum sum = options.checksum().begin(context)) {
        long all = Change.elements(tensor);
        for (long at = 0; at < all; at += Change.CHUNK) {
          sum.update(Range.of(tensor, at, Math.min(Change.CHUNK, all - at)));
        }
        if (!entry.getValue().digest().equals(Optional.of(sum.hex()))) {
          return false;
        }
      }
    }
    return true;
  }

  /**
   * Elements that it changes; bytes where its entries are bytes.
   *
   * @param base of which the shapes are looked at
   */
  public long changed(Checkpoint base) {
    long[] sum = {0};
    for (String name : tensors.keySet()) {
      forEachEntry(target(base, name), (begin, entries) -> sum[0] += entries.count());
    }
    return sum[0];
  }

  /** Bytes of the tensors that it changes. */
  private long bytes(Checkpoint base) {
    return tensors.keySet().stream().mapToLong(name -> target(base, name).bytes()).sum();
  }

  /**
   * The tensor of a model that it changes.
   *
   * @throws InvalidInputException when the model has none of that name
   */
  public Tensor target(Checkpoint base, String name) {
    Tensor tensor = base.tensors().get(name);
    if (tensor == null) {
      throw new InvalidInputException(
          path + ": changes tensor \"" + name + "\", which is not in " + base.path());
    }
    return tensor;
  }

  /** Is shown what a patch makes of a tensor. */
  interface Visitor {
    /**
     * @param begin number of the first element
     * @param entries what changed, elements or bytes
     */
    void chunk(long begin, ChangedElements entries, Range patched) throws IOException;
  }

  /** Of each tensor that a patch changes, in the thread that reads it. */
  interface Visitors {
    Visitor of(Context own, Tensor tensor);
  }

  /**
   * What it makes of each tensor that it changes, chunk by chunk, whose digests are compared at the
   * end of each.
   */
  void forEachChunk(Checkpoint base, Progress progress, Visitors visitors) throws IOException {

    List<Tensor> targets = tensors.keySet().stream().map(name -> target(base, name)).toList();
    TensorLoop.run(
        context,
        targets,
        progress,
        (own, index, tensor) ->
            applied(own, tensor, tensors.get(tensor.name()), visitors.of(own, tensor)));
    base.check();
    check();
  }

  /** A tensor chunk by chunk, patched, and its digests. */
  private void applied(Context own, Tensor tensor, Patched patched, Visitor visitor)
      throws IOException {
    long all = Change.elements(tensor);
    try (PatchedTensor steps =
        new PatchedTensor(own, tensor, List.of(new PatchedTensor.Link(options, patched)))) {
      for (long begin = 0; begin < all; begin += Change.CHUNK) {
        Range part = steps.chunk(begin, Math.min(Change.CHUNK, all - begin));
        visitor.chunk(begin, steps.entries(), part);
      }
      steps.requireDigests();
    }
  }

  /** Is shown what a patch changes of a tensor. */
  @FunctionalInterface
  public interface Entries {
    /**
     * @param begin position of the first element; of the first byte where entries are bytes, whose
     *     width is 1
     * @param entries by their places behind it; nobody has checked that they ascend
     */
    void part(long begin, ChangedElements entries);
  }

  /**
   * What it changes of a tensor, part by part; of the base only type and shape are looked at.
   *
   * @throws InvalidInputException when the patch is damaged, or has not this tensor
   */
  public void forEachEntry(Tensor tensor, Entries visitor) {
    Patched patched = tensors.get(tensor.name());
    if (patched == null) {
      throw new InvalidInputException(path + ": does not change tensor \"" + tensor.name() + '"');
    }
    long all = Change.elements(tensor);
    try (PatchReader reader = PatchReader.open(context, options, tensor, patched)) {
      int part = Change.width(tensor) / reader.width();
      for (long begin = 0; begin < all; begin += Change.CHUNK) {
        int count = (int) Math.min(Change.CHUNK, all - begin);
        visitor.part(begin * part, reader.next(begin, count));
      }
      reader.requireEnd();
    } catch (KernelException e) {
      if (e.status() == Status.INVALID_ARGUMENT) {
        throw new InvalidInputException(
            path + ": tensor \"" + tensor.name() + "\" " + e.getMessage(), e);
      }
      throw e;
    }
  }

  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }
}
