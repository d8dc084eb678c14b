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
    read.tensors().forEach(this::add);
  }

  private void add(Chunked whole) {
    boolean empty = whole.shape().contains(0L);
    List<TensorPiece> pieces = new ArrayList<>();
    for (Chunk chunk : whole.chunks()) {
      String stored = whole.name() + " [chunk at " + chunk.begin() + "]";
      if (!empty && chunk.size().contains(0L)) {
        contents.others().put(stored, "holds no entries");
      } else {
        pieces.add(piece(whole, chunk, stored));
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

  private TensorPiece piece(Chunked whole, Chunk chunk, String stored) {
    ChunkFile file = files.get(chunk.place().file());
    Place place = chunk.place();
    String what = "tensor \"" + PrintableText.name(stored) + "\"";
    if (place.offset() > file.bytes() || place.bytes() > file.bytes() - place.offset()) {
      throw new InvalidInputException(
          file.path() + ": " + what + " ends beyond the file; is it complete?");
    }
    TorchTensor tensor =
        TorchArchive.one(file.source().range(place.offset(), place.bytes(), what), whole.name());
    if (tensor.type() != whole.type() || !tensor.shape().equals(chunk.size())) {
      throw new InvalidInputException(
          file.path()
              + ": "
              + what
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
