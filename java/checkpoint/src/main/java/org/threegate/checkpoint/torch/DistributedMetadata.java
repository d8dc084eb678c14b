package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Instance;
import org.threegate.checkpoint.torch.PickleValue.Name;
import org.threegate.checkpoint.torch.PickleValue.Sequence;
import org.threegate.checkpoint.torch.PickleValue.Text;
import org.threegate.checkpoint.torch.PickleValue.Whole;
import org.threegate.run.PrintableText;

/**
 * The {@code .metadata} of a checkpoint that {@code torch.distributed.checkpoint} wrote: which
 * chunks each tensor has, and where they lie. It is a pickle, and nothing in it is executed.
 *
 * @param tensors tensors of the model, in the order of the metadata
 * @param others what else the checkpoint holds: the name, and what it is
 */
public record DistributedMetadata(List<Chunked> tensors, Map<String, String> others) {
  /** Largest valid size of the file in bytes. */
  public static final int LARGEST = 256 << 20;

  private static final int SHOWN_KEYS = 8;

  /** Copies the collections. */
  public DistributedMetadata {
    tensors = List.copyOf(tensors);
    others = Collections.unmodifiableMap(new LinkedHashMap<>(others));
  }

  /**
   * A tensor that is stored in chunks.
   *
   * @param name name in the model
   * @param type dtype of the elements
   * @param shape dimensions; empty for a scalar
   * @param chunks the chunks, which may not fit together
   */
  public record Chunked(String name, TorchType type, List<Long> shape, List<Chunk> chunks) {
    /** Copies the lists. */
    public Chunked {
      shape = List.copyOf(shape);
      chunks = List.copyOf(chunks);
    }
  }

  /**
   * A box of a tensor.
   *
   * @param begin first index of each dimension
   * @param size number of indexes of each dimension; boxes may be empty
   * @param place where the chunk lies
   */
  public record Chunk(List<Long> begin, List<Long> size, Place place) {
    /** Copies the lists. */
    public Chunk {
      begin = List.copyOf(begin);
      size = List.copyOf(size);
    }
  }

  /**
   * A range of a file, which no other item shares.
   *
   * @param file name of the file, which is not checked
   * @param offset position of the first byte, at least 0
   * @param bytes number of bytes, at least 0
   */
  public record Place(String file, long offset, long bytes) {}

  /** What a chunk is found by. */
  private record Key(String name, List<Long> begin) {}

  /**
   * Reads the metadata.
   *
   * @param source the file
   * @return the tensors of the model
   * @throws org.threegate.run.InvalidInputException if the file violates the format, names anything
   *     but its classes, or holds no model
   */
  public static DistributedMetadata read(ByteSource source) {
    if (source.bytes() > LARGEST) {
      throw source.refusal("is larger than " + LARGEST + " bytes; save only the model");
    }
    byte[] code = source.read(0, (int) source.bytes());
    return new Parser(source).read(Pickle.read(source, code, Vocabulary.METADATA));
  }

  private static final class Parser {
    private final ByteSource source;

    Parser(ByteSource source) {
      this.source = source;
    }

    DistributedMetadata read(PickleValue value) {
      Instance metadata = instance(value, "Metadata");
      Dictionary items = dictionary(metadata.field("state_dict_metadata"));
      if (!items.objects().isEmpty()) {
        throw source.damaged("has an item whose name is not a text");
      }
      Map<Key, Place> places = places(dictionary(metadata.field("storage_data")));
      Map<String, List<String>> paths = new LinkedHashMap<>();
      Set<String> tensors = new LinkedHashSet<>();
      PickleValue stated = metadata.field("planner_data");
      for (Map.Entry<String, PickleValue> item : items.entries().entrySet()) {
        paths.put(item.getKey(), path(stated, item.getKey()));
        if (is(item.getValue(), "TensorStorageMetadata")) {
          tensors.add(item.getKey());
        } else if (!is(item.getValue(), "BytesStorageMetadata")) {
          throw source.damaged("has an item that is neither a tensor nor bytes");
        }
      }
      List<String> model = model(paths, tensors);
      Map<String, Chunked> chosen = new LinkedHashMap<>();
      Map<String, String> others = new LinkedHashMap<>();
      Map<String, Integer> counts = new HashMap<>();
      for (String name : items.entries().keySet()) {
        if (!isOf(model, paths.get(name))) {
          counts.merge(paths.get(name).get(0), 1, Integer::sum);
        }
      }
      for (Map.Entry<String, PickleValue> item : items.entries().entrySet()) {
        String name = item.getKey();
        List<String> path = paths.get(name);
        boolean isTensor = tensors.contains(name);
        if (!isOf(model, path)) {
          String group = PrintableText.name(path.get(0));
          others.put(
              name,
              path.size() == 1
                  ? "beside the model"
                  : "beside the model, one of " + counts.get(path.get(0)) + " under " + group);
        } else if (!isTensor) {
          others.put(name, "holds no tensor");
        } else {
          String own = String.join(".", path.subList(model.size(), path.size()));
          if (chosen.put(own, chunked(name, own, (Instance) item.getValue(), places)) != null) {
            throw source.damaged("has two tensors " + PrintableText.name(own));
          }
        }
      }
      return new DistributedMetadata(List.copyOf(chosen.values()), others);
    }

    /** Returns where the items lie, and refuses ranges that overlap. */
    private Map<Key, Place> places(Dictionary storage) {
      Map<Key, Place> places = new HashMap<>();
      Map<String, List<Place>> byFile = new TreeMap<>();
      for (Map.Entry<Instance, PickleValue> entry : storage.objects()) {
        Instance index = instance(entry.getKey(), "MetadataIndex");
        Instance info = instance(entry.getValue(), "_StorageInfo");
        String name = text(index.field("fqn"));
        List<Long> begin =
            index.field("offset") instanceof Sequence offset ? sizes(offset) : List.of();
        Place place =
            new Place(
                text(info.field("relative_path")),
                whole(info.field("offset")),
                whole(info.field("length")));
        if (info.field("transform_descriptors") instanceof Sequence transforms
            && !transforms.items().isEmpty()) {
          throw source.refusal(
              shown(name) + "is compressed or encrypted; save the checkpoint without extensions");
        }
        if (places.put(new Key(name, begin), place) != null) {
          throw source.damaged(shown(name) + "has two chunks at " + begin);
        }
        byFile.computeIfAbsent(place.file(), file -> new ArrayList<>()).add(place);
      }
      if (!storage.entries().isEmpty()) {
        throw source.damaged("has an item whose place is not known");
      }
      byFile.values().forEach(this::checkApart);
      return places;
    }

    private void checkApart(Collection<Place> places) {
      long end = 0;
      for (Place place : places.stream().sorted(Comparator.comparingLong(Place::offset)).toList()) {
        if (place.offset() < end || place.bytes() > Long.MAX_VALUE - place.offset()) {
          throw source.damaged("two items overlap in the file " + PrintableText.name(place.file()));
        }
        end = place.offset() + place.bytes();
      }
    }

    /** Returns the keys that lead to an item in the nested dictionaries that were saved. */
    private List<String> path(PickleValue stated, String name) {
      if (!(stated instanceof Dictionary paths)
          || !(paths.entries().get(name) instanceof Sequence keys)
          || keys.items().isEmpty()) {
        return List.of(name);
      }
      List<String> path = new ArrayList<>();
      for (PickleValue key : keys.items()) {
        if (key instanceof Text text) {
          path.add(text.value());
        } else if (key instanceof Whole number) {
          path.add(Long.toString(number.value()));
        } else {
          throw source.damaged(shown(name) + "has a key that is neither a text nor a number");
        }
      }
      return path;
    }

    /** Returns the keys that lead to the model; none if it is the top level. */
    private List<String> model(Map<String, List<String>> paths, Set<String> tensors) {
      Set<List<String>> found = new LinkedHashSet<>();
      boolean top = false;
      for (String name : tensors) {
        List<String> path = paths.get(name);
        top |= path.size() == 1;
        for (int i = 0; i < path.size() - 1; i++) {
          if (TorchArchive.KEYS.contains(path.get(i))) {
            found.add(path.subList(0, i + 1));
            break;
          }
        }
      }
      if (found.size() == 1) {
        return found.iterator().next();
      }
      if (found.isEmpty() && top) {
        return List.of();
      }
      List<String> keys =
          (found.isEmpty()
                  ? paths.values().stream().map(path -> path.get(0))
                  : found.stream().map(path -> String.join(".", path)))
              .distinct()
              .limit(SHOWN_KEYS)
              .map(PrintableText::name)
              .toList();
      throw source.refusal(
          found.isEmpty()
              ? "holds no tensors at its top level or under "
                  + String.join(", ", TorchArchive.KEYS)
                  + "; it has the keys "
                  + keys
              : "holds several state dictionaries, "
                  + String.join(" and ", keys)
                  + "; save the one to compare by itself");
    }

    private static boolean isOf(List<String> model, List<String> path) {
      return model.isEmpty()
          ? path.size() == 1
          : path.size() > model.size() && path.subList(0, model.size()).equals(model);
    }

    private Chunked chunked(String name, String own, Instance description, Map<Key, Place> places) {
      List<Long> shape = sizes(sequence(description.field("size")));
      Dimensions.check(source, shape);
      Instance properties = instance(description.field("properties"), "TensorProperties");
      PickleValue dtype =
          properties.state() instanceof Sequence values && !values.items().isEmpty()
              ? values.items().get(0)
              : properties.field("dtype");
      if (!(dtype instanceof Name type)) {
        throw source.damaged(shown(name) + "has no dtype");
      }
      List<Chunk> chunks = new ArrayList<>();
      for (PickleValue value : sequence(description.field("chunks")).items()) {
        Instance chunk = instance(value, "ChunkStorageMetadata");
        List<Long> begin = sizes(sequence(chunk.field("offsets")));
        List<Long> size = sizes(sequence(chunk.field("sizes")));
        checkInside(name, shape, begin, size);
        Place place = places.get(new Key(name, begin));
        if (size.contains(0L) && place == null) {
          continue;
        }
        if (place == null) {
          throw source.damaged(shown(name) + "has a chunk at " + begin + " that is not stored");
        }
        chunks.add(new Chunk(begin, size, place));
      }
      TorchType known =
          TorchType.ofDtype(type.path())
              .orElseThrow(() -> source.damaged(shown(name) + "has no dtype"));
      return new Chunked(own, known, shape, chunks);
    }

    private void checkInside(String name, List<Long> shape, List<Long> begin, List<Long> size) {
      boolean inside = begin.size() == shape.size() && size.size() == shape.size();
      for (int i = 0; inside && i < shape.size(); i++) {
        inside = begin.get(i) <= shape.get(i) && size.get(i) <= shape.get(i) - begin.get(i);
      }
      if (!inside) {
        throw source.damaged(
            shown(name) + "of " + shape + " has a chunk of " + size + " at " + begin);
      }
    }

    private static String shown(String name) {
      return "tensor \"" + PrintableText.name(name) + "\" ";
    }

    private static boolean is(PickleValue value, String kind) {
      return value instanceof Instance object && object.kind().equals(kind);
    }

    private Instance instance(PickleValue value, String kind) {
      if (value instanceof Instance object && object.kind().equals(kind)) {
        return object;
      }
      throw source.damaged("has no " + kind + " where one should be");
    }

    private Dictionary dictionary(PickleValue value) {
      if (value instanceof Dictionary dictionary) {
        return dictionary;
      }
      throw source.damaged("has no dictionary where one should be");
    }

    private Sequence sequence(PickleValue value) {
      if (value instanceof Sequence sequence) {
        return sequence;
      }
      throw source.damaged("has no list where one should be");
    }

    private String text(PickleValue value) {
      if (value instanceof Text text) {
        return text.value();
      }
      throw source.damaged("has no text where one should be");
    }

    private long whole(PickleValue value) {
      if (value instanceof Whole number && number.value() >= 0) {
        return number.value();
      }
      throw source.damaged("has no size where one should be");
    }

    private List<Long> sizes(Sequence values) {
      if (values.items().size() > Dimensions.MOST) {
        throw source.damaged("has a tensor of " + values.items().size() + " dimensions");
      }
      return values.items().stream().map(this::whole).toList();
    }
  }
}
