package org.threegate.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.threegate.checkpoint.torch.ByteSource;
import org.threegate.checkpoint.torch.DistributedMetadata;
import org.threegate.checkpoint.torch.DistributedMetadata.Chunk;
import org.threegate.checkpoint.torch.DistributedMetadata.Chunked;
import org.threegate.checkpoint.torch.DistributedMetadata.Place;
import org.threegate.checkpoint.torch.TorchArchive;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.file.FileNames;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/** Reads a checkpoint that {@code torch.distributed.checkpoint} wrote. */
final class DistributedReader {
  /** Name of the file that describes the others. */
  static final String METADATA = ".metadata";

  private final CheckpointContents contents;
  private final Path metadata;
  private final Map<String, ChunkFile> files = new TreeMap<>();

  private DistributedReader(CheckpointContents contents, Path metadata) {
    this.contents = contents;
    this.metadata = metadata;
  }

  /** Reads the metadata and the chunks of the model that it names. */
  static void read(CheckpointContents contents, Path metadata) {
    new DistributedReader(contents, metadata).read();
  }

  private void read() {
    byte[] bytes = InputFiles.bytes(metadata, DistributedMetadata.LARGEST);
    DistributedMetadata read = DistributedMetadata.read(ByteSource.of(metadata.toString(), bytes));
    contents.others().putAll(read.others());
    SortedSet<String> names = new TreeSet<>();
    for (Chunked tensor : read.tensors()) {
      tensor.chunks().forEach(chunk -> names.add(chunk.place().file()));
    }
    for (String name : names) {
      Path path = metadata.resolveSibling(FileNames.plain(name, metadata.toString()));
      if (!Files.exists(path)) {
        throw new InvalidInputException(path + ": no such file, though " + METADATA + " names it");
      }
      files.put(name, contents.opened(ChunkFile.open(contents.context(), path)));
    }
    // Each chunk is an archive of its own with a pickle. To open them takes longest.
    List<Chunked> tensors = read.tensors();
    List<List<TensorPiece>> pieces;
    try {
      pieces = tensors.parallelStream().map(this::pieces).toList();
    } catch (InvalidInputException e) {
      // Of several faults, always the same one is reported.
      pieces = tensors.stream().map(this::pieces).toList();
    }
    for (int i = 0; i < tensors.size(); i++) {
      add(tensors.get(i), new ArrayList<>(pieces.get(i)));
    }
  }

  private static String stored(Chunked whole, Chunk chunk) {
    return whole.name() + " [chunk at " + chunk.begin() + "]";
  }

  /** Opens the chunks that hold entries, or all chunks of a tensor that has none. */
  private List<TensorPiece> pieces(Chunked whole) {
    return whole.chunks().stream()
        .filter(chunk -> whole.shape().contains(0L) || !chunk.size().contains(0L))
        .map(chunk -> piece(whole, chunk))
        .toList();
  }

  private void add(Chunked whole, List<TensorPiece> pieces) {
    boolean empty = whole.shape().contains(0L);
    for (Chunk chunk : whole.chunks()) {
      if (!empty && chunk.size().contains(0L)) {
        contents.others().put(stored(whole, chunk), "holds no entries");
      }
    }
    if (empty && !pieces.isEmpty()) {
      pieces.subList(1, pieces.size()).clear();
    } else if (empty) {
      contents.others().put(whole.name(), "holds no entries");
      return;
    } else if (!Boxes.cover(whole.shape(), pieces)) {
      throw new InvalidInputException(
          metadata
              + ": the "
              + whole.chunks().size()
              + " chunks of tensor \""
              + PrintableText.name(whole.name())
              + "\" do not make a whole of "
              + whole.shape()
              + "; save the checkpoint again");
    }
    pieces.sort(Comparator.comparing(TensorPiece::begin, Boxes::compare));
    contents.add(new TensorParts(whole.name(), whole.shape(), whole.shape(), pieces));
  }

  private TensorPiece piece(Chunked whole, Chunk chunk) {
    String stored = stored(whole, chunk);
    ChunkFile file = files.get(chunk.place().file());
    Place place = chunk.place();
    Supplier<String> what = () -> "tensor \"" + PrintableText.name(stored) + "\"";
    if (place.offset() > file.bytes() || place.bytes() > file.bytes() - place.offset()) {
      throw new InvalidInputException(
          file.path() + ": " + what.get() + " ends beyond the file; is it complete?");
    }
    TorchTensor tensor =
        TorchArchive.one(file.source().range(place.offset(), place.bytes(), what), whole.name());
    if (tensor.type() != whole.type() || !tensor.shape().equals(chunk.size())) {
      throw new InvalidInputException(
          file.path()
              + ": "
              + what.get()
              + " is "
              + tensor.type()
              + " "
              + tensor.shape()
              + ", but "
              + METADATA
              + " has "
              + whole.type()
              + " "
              + chunk.size()
              + "; are they of one step?");
    }
    return Boxes.piece(stored, tensor, file.mapped(), place.offset(), chunk.begin());
  }
}
