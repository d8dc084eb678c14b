package org.threegate.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.checkpoint.torch.ZeroModelState;
import org.threegate.checkpoint.torch.ZeroOptimizerState;
import org.threegate.kernel.MappedFile;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * Reads the masters that DeepSpeed's ZeRO left, as its own {@code zero_to_fp32.py} puts them
 * together. Stage 3 gives each process an equal part of each parameter, and pads the last ones.
 * Stages 1 and 2 put the parameters of a group one after the other, and cut the whole into equal
 * parts.
 */
final class ZeroReader {
  private static final Pattern OPTIMIZER =
      Pattern.compile("((?:bf16_)?)zero_pp_rank_(\\d{1,5})_mp_rank_00_optim_states\\.pt");
  private static final int MOST_RANKS = 1 << 14;

  /** A part of the masters that a process holds in one place. */
  private record Held(int rank, MappedFile file, TorchTensor vector) {
    long entries() {
      return vector.shape().get(0);
    }
  }

  private final CheckpointContents contents;
  private final Path directory;
  private final String prefix;
  private final List<List<Held>> groupsOfRanks = new ArrayList<>();

  private ZeroReader(CheckpointContents contents, Path directory, String prefix) {
    this.contents = contents;
    this.directory = directory;
    this.prefix = prefix;
  }

  /** Returns whether a name is that of a file with the optimizer's state of a process. */
  static boolean isNamed(String name) {
    return OPTIMIZER.matcher(name).matches();
  }

  /** Reads the files of all processes. */
  static void read(CheckpointContents contents, Path one) {
    Matcher name = OPTIMIZER.matcher(one.getFileName().toString());
    Path directory = Optional.ofNullable(one.toAbsolutePath().getParent()).orElseThrow();
    if (name.matches()) {
      new ZeroReader(contents, directory, name.group(1)).read();
    }
  }

  private void read() {
    int ranks = 1;
    long stage = 0;
    for (int rank = 0; rank < ranks; rank++) {
      Path path =
          directory.resolve(prefix + "zero_pp_rank_" + rank + "_mp_rank_00_optim_states.pt");
      ChunkFile file = open(path);
      ZeroOptimizerState state = ZeroOptimizerState.read(file.source());
      if (rank == 0) {
        stage = state.stage();
        ranks = (int) Math.min(MOST_RANKS + 1, state.partitions());
      }
      if (state.stage() != stage || state.partitions() != ranks || ranks > MOST_RANKS) {
        throw new InvalidInputException(
            path + ": is of another run than the file of the first process");
      }
      int own = rank;
      groupsOfRanks.add(
          state.groups().stream().map(group -> new Held(own, file.mapped(), group)).toList());
      contents
          .others()
          .put(
              "optimizer_state_dict" + of(rank, ranks),
              state.others() + " other tensors of the optimizer");
    }
    checkGroups(ranks, stage == 3);
    ChunkFile file =
        open(
            directory.resolve(
                (stage == 3 ? "zero_pp_rank_0_" : "") + "mp_rank_00_model_states.pt"));
    ZeroModelState model = ZeroModelState.read(file.source());
    addBuffers(model, file.mapped(), stage);
    if (stage == 3) {
      addFrozenParts(file, model, ranks);
      addEqualParts(model, ranks);
    } else {
      model.frozenShapes().forEach((name, shape) -> addFrozen(file, model, name, shape));
      addCutGroups(model, ranks);
    }
    model
        .shared()
        .forEach((name, other) -> note(name, "the same parameter as " + PrintableText.name(other)));
  }

  private ChunkFile open(Path path) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(path + ": no such file, though there are others of its run");
    }
    return contents.opened(ChunkFile.open(contents.context(), path));
  }

  private static String of(int rank, int ranks) {
    return " [rank " + rank + " of " + ranks + "]";
  }

  private void note(String name, String what) {
    contents.others().putIfAbsent(name, what);
  }

  /**
   * Checks that all processes have the same groups of one dtype.
   *
   * @param equal whether they are of one size; else the last processes may have no padding
   */
  private void checkGroups(int ranks, boolean equal) {
    List<Held> first = groupsOfRanks.get(0);
    for (List<Held> groups : groupsOfRanks) {
      boolean same = groups.size() == first.size();
      for (int i = 0; same && i < groups.size(); i++) {
        same =
            (!equal || groups.get(i).entries() == first.get(i).entries())
                && groups.get(i).vector().type() == first.get(0).vector().type();
      }
      if (!same) {
        throw new InvalidInputException(
            groups.get(0).file().path()
                + ": its masters differ in size from those of the first of "
                + ranks
                + " processes; are the files of one step?");
      }
    }
  }

  private void addBuffers(ZeroModelState model, MappedFile file, long stage) {
    model
        .module()
        .forEach(
            (name, tensor) -> {
              if (model.buffers().contains(name)) {
                contents.add(file, tensor);
              } else {
                contents
                    .others()
                    .put(
                        name + " [module]",
                        stage == 3 ? "placeholder of the master" : "copy of the master");
              }
            });
  }

  private void addFrozen(ChunkFile file, ZeroModelState model, String name, List<Long> shape) {
    TorchTensor tensor = fragment(file, model, name);
    if (!tensor.shape().equals(shape)) {
      throw differs(file.path(), name);
    }
    contents.add(file.mapped(), tensor);
  }

  private static TorchTensor fragment(ChunkFile file, ZeroModelState model, String name) {
    return Optional.ofNullable(model.frozen().get(name))
        .orElseThrow(() -> differs(file.path(), name));
  }

  /** Adds parameters that are not trained, of which each process holds an equal part. */
  private void addFrozenParts(ChunkFile first, ZeroModelState model, int ranks) {
    if (model.frozenShapes().isEmpty()) {
      return;
    }
    List<Map<String, Held>> fragments = new ArrayList<>();
    for (int rank = 0; rank < ranks; rank++) {
      ChunkFile file =
          rank == 0
              ? first
              : open(directory.resolve("zero_pp_rank_" + rank + "_mp_rank_00_model_states.pt"));
      ZeroModelState own = rank == 0 ? model : ZeroModelState.read(file.source());
      Map<String, Held> held = new LinkedHashMap<>();
      for (String name : model.frozenShapes().keySet()) {
        TorchTensor part = fragment(file, own, name);
        if (part.shape().size() != 1 || !part.strides().isEmpty()) {
          throw differs(file.path(), name);
        }
        held.put(name, new Held(rank, file.mapped(), part));
      }
      fragments.add(held);
    }
    model
        .frozenShapes()
        .forEach(
            (name, shape) -> {
              List<List<Held>> own =
                  fragments.stream().map(held -> List.of(held.get(name))).toList();
              addEqual(name, shape, own, 0);
            });
  }

  /** Adds parameters of which each process holds an equal part. */
  private void addEqualParts(ZeroModelState model, int ranks) {
    long at = 0;
    for (Map<String, List<Long>> group : model.shapes()) {
      for (Map.Entry<String, List<Long>> parameter : group.entrySet()) {
        at += addEqual(parameter.getKey(), parameter.getValue(), groupsOfRanks, at);
      }
    }
    long held = groupsOfRanks.get(0).stream().mapToLong(Held::entries).sum();
    if (at != held) {
      throw new InvalidInputException(
          groupsOfRanks.get(0).get(0).file().path()
              + ": holds "
              + held
              + " masters, and the parameters need "
              + at
              + " of each of "
              + ranks
              + " processes; are the files of one step?");
    }
  }

  /** Adds a parameter whose parts begin at one position of all processes. Returns their length. */
  private long addEqual(String name, List<Long> shape, List<List<Held>> ranks, long at) {
    long entries = entries(name, shape);
    long length = entries / ranks.size() + (entries % ranks.size() == 0 ? 0 : 1);
    List<TensorPiece> pieces = new ArrayList<>();
    for (int rank = 0; rank < ranks.size(); rank++) {
      long begin = Math.min(entries, length * rank);
      long count = Math.min(length, entries - begin);
      take(name, ranks.get(rank), at, begin, count, pieces);
    }
    add(name, shape, entries, pieces);
    return length;
  }

  /** Adds parameters that lie one after the other in groups, which are cut into equal parts. */
  private void addCutGroups(ZeroModelState model, int ranks) {
    int groups = groupsOfRanks.get(0).size();
    if (model.shapes().size() != groups) {
      throw new InvalidInputException(
          directory
              + ": has "
              + groups
              + " groups of masters and "
              + model.shapes().size()
              + " of parameters; are the files of one step?");
    }
    for (int i = 0; i < groups; i++) {
      int group = i;
      List<Held> parts = groupsOfRanks.stream().map(own -> own.get(group)).toList();
      long at = 0;
      for (Map.Entry<String, List<Long>> parameter : model.shapes().get(i).entrySet()) {
        long entries = entries(parameter.getKey(), parameter.getValue());
        List<TensorPiece> pieces = new ArrayList<>();
        take(parameter.getKey(), parts, at, 0, entries, pieces);
        add(parameter.getKey(), parameter.getValue(), entries, pieces);
        at += entries;
      }
      long held = parts.stream().mapToLong(Held::entries).sum();
      // DeepSpeed pads in two places, so that its own script allows this much, too.
      long align = 2L * ranks;
      if ((at + align - 1) / align != (held + align - 1) / align) {
        throw new InvalidInputException(
            directory
                + ": a group has "
                + held
                + " masters, and its parameters need "
                + at
                + "; are the files of one step?");
      }
    }
  }

  /**
   * Takes entries that lie one after the other in vectors.
   *
   * @param at position of the first entry in all vectors together
   * @param begin index of the first entry in the parameter
   */
  private void take(
      String name, List<Held> vectors, long at, long begin, long count, List<TensorPiece> pieces) {
    long position = 0; // of the vector
    for (Held vector : vectors) {
      long from = Math.max(at, position);
      long to = Math.min(at + count, position + vector.entries());
      if (from < to) {
        TorchTensor own = vector.vector();
        TensorType type = TensorType.valueOf(own.type().name());
        long offset = own.offset() + (from - position) * own.type().bytes();
        String stored =
            name
                + of(vector.rank(), groupsOfRanks.size())
                + (pieces.stream().anyMatch(piece -> piece.tensor().file() == vector.file())
                    ? " [" + own.name() + "]"
                    : "");
        List<Long> size = List.of(to - from);
        pieces.add(
            new TensorPiece(
                new Tensor(stored, type, size, vector.file(), offset),
                List.of(begin + from - at),
                size,
                List.of(1L)));
      }
      position += vector.entries();
    }
  }

  private void add(String name, List<Long> shape, long entries, List<TensorPiece> pieces) {
    if (entries == 0) {
      note(name, "holds no entries");
    } else if (Boxes.cover(List.of(entries), pieces)) {
      contents.add(new TensorParts(name, shape, List.of(entries), pieces));
    } else {
      throw differs(directory, name);
    }
  }

  private long entries(String name, List<Long> shape) {
    try {
      // Bounded as a file is, so that sums of them do not overflow.
      long entries = shape.stream().reduce(1L, Math::multiplyExact);
      if (shape.stream().allMatch(size -> size <= Integer.MAX_VALUE) && entries < 1L << 50) {
        return entries;
      }
    } catch (ArithmeticException e) {
      // Refused below, too.
    }
    throw differs(directory, name);
  }

  private static InvalidInputException differs(Path path, String name) {
    return new InvalidInputException(
        path
            + ": the parts of parameter \""
            + PrintableText.name(name)
            + "\" do not make a whole; are the files of one step?");
  }
}
