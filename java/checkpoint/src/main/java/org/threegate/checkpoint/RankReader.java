package org.threegate.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.threegate.checkpoint.torch.TensorShare;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/** Reads the files of all ranks of a training run, each with some entries of each tensor. */
final class RankReader {
  private static final int MOST_RANKS = 1 << 14;

  private final CheckpointContents contents;
  private final Path one;
  private final int ranks;
  private final Map<String, List<Held>> shared = new LinkedHashMap<>();

  /** What a rank holds of a tensor. */
  private record Held(int rank, TorchFile file, TorchTensor tensor) {
    TensorShare share() {
      return tensor.share().orElseThrow();
    }
  }

  private RankReader(CheckpointContents contents, Path one, int ranks) {
    this.contents = contents;
    this.one = one;
    this.ranks = ranks;
  }

  /**
   * Reads all files.
   *
   * @param one one of the files
   * @param size number of ranks, as its name states it
   */
  static void read(CheckpointContents contents, Path one, String size) {
    int ranks = size.length() > 5 ? MOST_RANKS + 1 : Integer.parseInt(size);
    if (ranks > MOST_RANKS || ranks == 0) {
      throw new InvalidInputException(one + ": names " + size + " ranks; at most " + MOST_RANKS);
    }
    new RankReader(contents, one, ranks).read();
  }

  private void read() {
    Set<String> whole = new LinkedHashSet<>();
    for (int rank = 0; rank < ranks; rank++) {
      Path path = one.resolveSibling("model_world_size_" + ranks + "_rank_" + rank + ".pt");
      if (!Files.exists(path)) {
        throw new InvalidInputException(path + ": no such file, though there are other ranks");
      }
      TorchFile file = contents.openTorch(path);
      for (TorchTensor tensor : file.descriptions()) {
        if (tensor.share().isPresent()) {
          shared
              .computeIfAbsent(tensor.name(), name -> new ArrayList<>())
              .add(new Held(rank, file, tensor));
        } else if (rank == 0) {
          contents.add(file.mapped(), tensor);
          whole.add(tensor.name());
        } else if (whole.contains(tensor.name())) {
          contents.others().put(stored(tensor.name(), rank), "stored whole by rank 0, too");
        } else {
          throw differs(path, tensor.name());
        }
      }
    }
    shared.forEach(this::join);
  }

  private String stored(String name, int rank) {
    return name + " [rank " + rank + " of " + ranks + "]";
  }

  private void join(String name, List<Held> held) {
    TensorShare first = held.get(0).share();
    boolean alike =
        held.size() == ranks
            && held.stream().map(Held::share).map(TensorShare::whole).distinct().count() == 1
            && held.stream().map(Held::share).map(TensorShare::split).distinct().count() == 1
            && held.stream().map(Held::tensor).map(TorchTensor::type).distinct().count() == 1;
    if (!alike) {
      throw differs(one, name);
    }
    List<Long> mesh = mesh(name, held);
    Map<TensorShare.Box, Held> boxes = new LinkedHashMap<>();
    List<TensorPiece> pieces = new ArrayList<>();
    for (Held own : held) {
      TensorShare.Box box = first.box(mesh, place(own));
      boolean empty = box.size().contains(0L);
      boolean fits = own.tensor().shape().equals(box.size());
      if (!fits && !(empty && own.tensor().shape().contains(0L))) {
        throw differs(own.file().path(), name);
      }
      String stored = stored(name, own.rank());
      Held other = boxes.putIfAbsent(box, own);
      if (empty && !first.whole().contains(0L)) {
        contents.others().put(stored, "holds no entries");
      } else if (other != null) {
        contents.others().put(stored, "stored by rank " + other.rank() + ", too");
      } else {
        pieces.add(Boxes.piece(stored, own.tensor(), own.file().mapped(), 0, box.begin()));
      }
    }
    pieces.sort(Comparator.comparing(TensorPiece::begin, Boxes::compare));
    if (first.whole().contains(0L)) {
      pieces.subList(1, pieces.size()).clear(); // all are empty
    } else if (!Boxes.cover(first.whole(), pieces)) {
      throw differs(one, name);
    }
    contents.add(new TensorParts(name, first.whole(), first.whole(), pieces));
  }

  /** Returns the number of processes along each dimension of the mesh. */
  private List<Long> mesh(String name, List<Held> held) {
    int dimensions = held.get(0).share().split().size();
    List<Long> mesh = new ArrayList<>();
    for (int i = 0; i < dimensions; i++) {
      int dimension = i;
      mesh.add(1 + held.stream().mapToLong(own -> place(own).get(dimension)).max().orElseThrow());
    }
    if (mesh.stream().anyMatch(count -> count > MOST_RANKS || count < 1)) {
      throw differs(one, name);
    }
    return mesh;
  }

  /** Returns the place of a rank in the mesh. */
  private static List<Long> place(Held own) {
    TensorShare share = own.share();
    if (share.coordinates().isEmpty() && share.split().size() > 1) {
      throw new InvalidInputException(
          own.file().path()
              + ": does not state the place of its process in a mesh of "
              + share.split().size()
              + " dimensions; merge the files of all ranks first");
    }
    return share.coordinates().isEmpty() ? List.of((long) own.rank()) : share.coordinates();
  }

  private static InvalidInputException differs(Path path, String tensor) {
    return new InvalidInputException(
        path
            + ": the parts of tensor \""
            + PrintableText.name(tensor)
            + "\" in the files of all ranks do not make a whole; are they of one step?");
  }
}
