package org.threegate.spark;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TorchFile;
import org.threegate.file.FileNames;
import org.threegate.run.InvalidInputException;

/**
 * The metadata of a checkpoint on a Hadoop file system: the headers of its shards, its index and
 * its configuration. They are copied to a local directory as sparse files, with holes in place of
 * the weights. The local directory can be opened like any checkpoint. Adapters are small and are
 * copied completely.
 */
final class RemoteModel {
  private static final int COMPARED_BYTES = 4 << 20;
  private static final int LENGTH_BYTES = 8;
  private static final int LONGEST_HEADER = 100_000_000;
  private static final int FIRST_BYTES = 1 << 16;
  private static final String SHARD = ".safetensors";
  private static final String DESCRIPTION = ".json";
  private static final long LONGEST_DESCRIPTION = 1L << 28;
  private static final int READERS = 16;
  private static final List<String> TEXTS =
      List.of("config.json", "hf_quant_config.json", Checkpoint.ADAPTER_CONFIG);
  private static final long LONGEST_TEXTS = 1L << 20;

  private final String location;
  private final java.nio.file.Path mirror;
  private final Map<String, Descriptions.Source> shards;

  private RemoteModel(
      String location, java.nio.file.Path mirror, Map<String, Descriptions.Source> shards) {
    this.location = location;
    this.mirror = mirror;
    this.shards = shards;
  }

  /**
   * Reads headers.
   *
   * @param location location of a file or directory
   * @param directory new directory for the local files
   */
  static RemoteModel read(
      Configuration configuration, String location, java.nio.file.Path directory)
      throws IOException {
    try (FileSystem files =
        FileSystem.newInstance(new Path(location).toUri(), Stores.impatient(configuration))) {
      Path named = files.makeQualified(new Path(location));
      boolean isDirectory = files.getFileStatus(named).isDirectory();
      Path parent = isDirectory ? named : named.getParent();
      FileStatus[] all = files.listStatus(parent);
      List<FileStatus> wanted = new ArrayList<>();
      boolean adapter = false;
      for (FileStatus file : all) {
        String name = file.getPath().getName();
        adapter |= name.equals(Checkpoint.ADAPTER_CONFIG);
        boolean shard = name.endsWith(SHARD);
        if (file.isFile() && FileNames.isPlain(name) && (shard || name.endsWith(DESCRIPTION))) {
          // The directory of a single file can contain other models.
          if (!shard || isDirectory || !named.getName().endsWith(SHARD) || isSame(file, named)) {
            wanted.add(file);
          }
        }
      }
      refuseTorch(location, isDirectory ? all : new FileStatus[] {files.getFileStatus(named)});
      Files.createDirectories(directory);
      RemoteModel model =
          new RemoteModel(
              location,
              isDirectory ? directory : directory.resolve(named.getName()),
              new LinkedHashMap<>());
      model.lay(files, wanted, directory, adapter);
      if (!isDirectory && !Files.exists(model.mirror)) {
        Files.createFile(model.mirror); // opening it reports what is wrong
      }
      return model;
    } catch (IOException | RuntimeException e) {
      if (e instanceof InvalidInputException known) {
        throw known;
      }
      throw new InvalidInputException(location + ": " + Stores.problem(location, e), e);
    }
  }

  /** Refuses models that are stored only in files of torch. */
  private static void refuseTorch(String location, FileStatus[] files) {
    List<String> names = Stream.of(files).map(file -> file.getPath().getName()).toList();
    if (names.stream().noneMatch(name -> name.endsWith(SHARD))
        && names.stream().anyMatch(name -> TorchFile.isNamed(name) || name.endsWith(".distcp"))) {
      throw new InvalidInputException(
          location
              + ": holds files of torch, which a cluster does not read; save the model as"
              + " safetensors, or compare without a cluster");
    }
  }

  private static boolean isSame(FileStatus file, Path named) {
    return file.getPath().getName().equals(named.getName());
  }

  private void lay(
      FileSystem files, List<FileStatus> wanted, java.nio.file.Path directory, boolean whole)
      throws IOException {
    ExecutorService readers = readers();
    try {
      List<Future<?>> pending = new ArrayList<>();
      for (FileStatus file : wanted) {
        String name = file.getPath().getName();
        if (name.endsWith(SHARD)) {
          shards.put(
              name,
              new Descriptions.Source(
                  file.getPath().toString(), file.getLen(), file.getModificationTime()));
        }
        pending.add(
            readers.submit(
                () -> {
                  layOne(files, file, directory.resolve(name), whole);
                  return null;
                }));
      }
      await(pending);
    } finally {
      readers.shutdownNow();
    }
  }

  private static ExecutorService readers() {
    return Executors.newFixedThreadPool(
        READERS,
        task -> {
          Thread thread = new Thread(task, "threegate-headers");
          thread.setDaemon(true);
          return thread;
        });
  }

  private static void await(List<Future<?>> pending) throws IOException {
    try {
      for (Future<?> one : pending) {
        one.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof InvalidInputException refused) {
        throw refused;
      }
      throw e.getCause() instanceof IOException failure ? failure : new IOException(e.getCause());
    }
  }

  private static void layOne(
      FileSystem files, FileStatus file, java.nio.file.Path local, boolean whole)
      throws IOException {
    try (FSDataInputStream in = files.open(file.getPath());
        FileChannel out =
            FileChannel.open(local, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      boolean shard = file.getPath().getName().endsWith(SHARD);
      if (!shard && file.getLen() > LONGEST_DESCRIPTION) {
        return;
      }
      long end = shard && !whole ? headerEnd(in, file.getLen()) : file.getLen();
      byte[] block = new byte[(int) Math.min(Math.max(end, 1), 1 << 20)];
      for (long at = 0; at < end; at += block.length) {
        int count = (int) Math.min(block.length, end - at);
        in.readFully(at, block, 0, count);
        writeFully(out, at, ByteBuffer.wrap(block, 0, count));
      }
      if (file.getLen() > end) {
        writeFully(out, file.getLen() - 1, ByteBuffer.allocate(1));
      }
    } catch (EOFException e) {
      throw new InvalidInputException(
          file.getPath()
              + ": became shorter while it was read; wait until no other process writes it",
          e);
    }
  }

  /**
   * Returns the offset of the weights in bytes. Errors in the header are reported by the parser.
   */
  private static long headerEnd(FSDataInputStream in, long bytes) throws IOException {
    byte[] prefix = new byte[(int) Math.min(LENGTH_BYTES, bytes)];
    in.readFully(0, prefix);
    if (prefix.length < LENGTH_BYTES) {
      return prefix.length;
    }
    long length = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getLong();
    return length < 0 || length > LONGEST_HEADER || length > bytes - LENGTH_BYTES
        ? Math.min(bytes, FIRST_BYTES)
        : LENGTH_BYTES + length;
  }

  /** Copies tensors of a shard into its local file. */
  void fill(
      Configuration configuration, String shard, java.nio.file.Path local, List<Tensor> tensors)
      throws IOException {
    Path remote = new Path(shards.get(shard).location());
    ExecutorService readers = readers();
    try (FileSystem files =
            FileSystem.newInstance(remote.toUri(), Stores.impatient(configuration));
        FSDataInputStream in = files.open(remote);
        FileChannel out = FileChannel.open(local, StandardOpenOption.WRITE)) {
      List<Future<?>> pending = new ArrayList<>();
      for (Tensor tensor : tensors) {
        pending.add(
            readers.submit(
                () -> {
                  byte[] bytes = new byte[(int) tensor.bytes()];
                  in.readFully(tensor.offset(), bytes);
                  writeFully(out, tensor.offset(), ByteBuffer.wrap(bytes));
                  return null;
                }));
      }
      await(pending);
    } catch (EOFException e) {
      throw new InvalidInputException(
          remote + ": became shorter while it was read; wait until no other process writes it", e);
    } finally {
      readers.shutdownNow();
    }
  }

  /**
   * Copies the first bytes in which two tensors differ into their local files. Equal tensors stay
   * holes, which are equal, too.
   *
   * @param directory directory of the local files
   * @param one a tensor
   * @param other a tensor of the same size
   */
  void fillDifference(
      Configuration configuration, java.nio.file.Path directory, Tensor one, Tensor other)
      throws IOException {
    Path remote = remote(one);
    try (FileSystem files =
            FileSystem.newInstance(remote.toUri(), Stores.impatient(configuration));
        FSDataInputStream left = files.open(remote);
        FSDataInputStream right = files.open(remote(other))) {
      for (long at = 0; at < one.bytes(); at += COMPARED_BYTES) {
        int count = (int) Math.min(COMPARED_BYTES, one.bytes() - at);
        byte[] own = new byte[count];
        byte[] against = new byte[count];
        left.readFully(one.offset() + at, own);
        right.readFully(other.offset() + at, against);
        if (!Arrays.equals(own, against)) {
          writeAt(directory, one, at, own);
          writeAt(directory, other, at, against);
          return;
        }
      }
    } catch (EOFException e) {
      throw new InvalidInputException(
          remote + ": became shorter while it was read; wait until no other process writes it", e);
    }
  }

  private Path remote(Tensor tensor) {
    return new Path(shards.get(tensor.file().path().getFileName().toString()).location());
  }

  private static void writeAt(java.nio.file.Path directory, Tensor tensor, long at, byte[] bytes)
      throws IOException {
    java.nio.file.Path local = directory.resolve(tensor.file().path().getFileName());
    try (FileChannel out = FileChannel.open(local, StandardOpenOption.WRITE)) {
      writeFully(out, tensor.offset() + at, ByteBuffer.wrap(bytes));
    }
  }

  private static void writeFully(FileChannel file, long at, ByteBuffer bytes) throws IOException {
    for (long to = at; bytes.hasRemaining(); ) {
      to += file.write(bytes, to);
    }
  }

  /** Returns the location as the user gave it. */
  String location() {
    return location;
  }

  /** Returns the local path to open instead of the location. */
  java.nio.file.Path mirror() {
    return mirror;
  }

  /** Returns the files with weights by name. */
  Map<String, Descriptions.Source> shards() {
    return shards;
  }

  /**
   * Returns the contents of the descriptions that tell how weights are stored, by file name; empty
   * if they are too long to be sent with each matrix.
   */
  Optional<Map<String, String>> texts() throws IOException {
    java.nio.file.Path directory = Files.isDirectory(mirror) ? mirror : mirror.getParent();
    Map<String, String> texts = new LinkedHashMap<>();
    long characters = 0;
    for (String name : TEXTS) {
      java.nio.file.Path file = directory.resolve(name);
      if (Files.isRegularFile(file)) {
        characters += Files.size(file);
        if (characters > LONGEST_TEXTS) {
          return Optional.empty();
        }
        texts.put(name, Files.readString(file));
      }
    }
    return Optional.of(texts);
  }

  /** Translates an error about the local files to one about the remote files. */
  InvalidInputException translate(InvalidInputException e) {
    java.nio.file.Path directory = Files.isDirectory(mirror) ? mirror : mirror.getParent();
    String remote = Files.isDirectory(mirror) ? location : parent(location);
    return e.withProblem(e.problem().replace(directory.toString(), remote.replaceAll("/+$", "")));
  }

  private static String parent(String location) {
    int slash = location.lastIndexOf('/');
    return slash < 0 ? "." : location.substring(0, slash);
  }
}
