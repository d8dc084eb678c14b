package org.threegate.rl.task;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.Optional;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DataPage;
import org.apache.parquet.column.page.DataPageV1;
import org.apache.parquet.column.page.DataPageV2;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.format.DataPageHeader;
import org.apache.parquet.format.DataPageHeaderV2;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.PageType;
import org.apache.parquet.format.Util;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.apache.parquet.hadoop.metadata.ColumnPath;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;

/** The pages of a row group of an untrusted file. Only encodings with bounded memory are read. */
final class ParquetPages implements PageReadStore {
  private final FileChannel file;
  private final BlockMetaData block;

  ParquetPages(FileChannel file, BlockMetaData block) {
    this.file = file;
    this.block = block;
  }

  @Override
  public long getRowCount() {
    return block.getRowCount();
  }

  @Override
  public PageReader getPageReader(ColumnDescriptor column) {
    ColumnPath path = ColumnPath.get(column.getPath());
    return block.getColumns().stream()
        .filter(chunk -> chunk.getPath().equals(path))
        .findFirst()
        .map(chunk -> new Pages(file, chunk, column))
        .orElseThrow(
            () -> new IllegalArgumentException("column " + path.toDotString() + " is missing"));
  }

  private static final class Pages implements PageReader {
    private final InputStream in;
    private final ColumnDescriptor column;
    private final String name;
    private final CompressionCodecName codec;
    private final long values;
    private Optional<DataPage> ahead = Optional.empty();

    Pages(FileChannel file, ColumnChunkMetaData chunk, ColumnDescriptor column) {
      long begin = chunk.getStartingPos();
      this.in = new FileWindow(file, begin, begin + chunk.getTotalSize());
      this.column = column;
      this.name = chunk.getPath().toDotString();
      this.codec = chunk.getCodec();
      this.values = chunk.getValueCount();
    }

    @Override
    public long getTotalValueCount() {
      return values;
    }

    @Override
    public DictionaryPage readDictionaryPage() {
      try {
        PageHeader header = Util.readPageHeader(in);
        if (header.getType() != PageType.DICTIONARY_PAGE) {
          ahead = Optional.of(page(header));
          return null;
        }
        int entries = header.getDictionary_page_header().getNum_values();
        byte[] bytes = decompressed(compressed(header), header.getUncompressed_page_size());
        if (entries < 0 || entries > bytes.length) {
          throw new IOException("a dictionary has more entries than bytes in column " + name);
        }
        return new DictionaryPage(BytesInput.from(bytes), entries, Encoding.PLAIN);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public DataPage readPage() {
      try {
        DataPage page = ahead.isPresent() ? ahead.get() : page(Util.readPageHeader(in));
        ahead = Optional.empty();
        return page;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private DataPage page(PageHeader header) throws IOException {
      byte[] bytes = compressed(header);
      int size = header.getUncompressed_page_size();
      Statistics<?> none = Statistics.createStats(column.getPrimitiveType());
      if (header.isSetData_page_header_v2()) {
        DataPageHeaderV2 own = header.getData_page_header_v2();
        int repetitions = own.getRepetition_levels_byte_length();
        int levels = Math.addExact(repetitions, own.getDefinition_levels_byte_length());
        if (repetitions < 0 || levels < repetitions || levels > bytes.length) {
          throw new IOException("levels lie outside of a page of column " + name);
        }
        byte[] data = Arrays.copyOfRange(bytes, levels, bytes.length);
        boolean plain = own.isSetIs_compressed() && !own.isIs_compressed();
        return DataPageV2.uncompressed(
            own.getNum_rows(),
            own.getNum_nulls(),
            counted(own.getNum_values()),
            BytesInput.from(Arrays.copyOfRange(bytes, 0, repetitions)),
            BytesInput.from(Arrays.copyOfRange(bytes, repetitions, levels)),
            encoding(own.getEncoding()),
            BytesInput.from(plain ? data : decompressed(data, size - levels)),
            none);
      }
      if (!header.isSetData_page_header()) {
        throw new IOException("a page of an unknown kind in column " + name);
      }
      DataPageHeader own = header.getData_page_header();
      return new DataPageV1(
          BytesInput.from(decompressed(bytes, size)),
          counted(own.getNum_values()),
          size,
          none,
          encoding(own.getRepetition_level_encoding()),
          encoding(own.getDefinition_level_encoding()),
          encoding(own.getEncoding()));
    }

    private int counted(int number) throws IOException {
      if (number < 0 || number > values) {
        throw new IOException("a page of " + number + " values in column " + name);
      }
      return number;
    }

    private byte[] compressed(PageHeader header) throws IOException {
      int size = header.getCompressed_page_size();
      byte[] bytes =
          size < 0 || size > ParquetCodecs.LARGEST_PAGE ? new byte[0] : in.readNBytes(size);
      if (bytes.length != size) {
        throw new IOException("a page of " + size + " bytes in column " + name);
      }
      return bytes;
    }

    private byte[] decompressed(byte[] bytes, int size) throws IOException {
      return ParquetCodecs.decompressed(codec, bytes, size);
    }

    /** Decoders of other encodings take the memory that the data asks for. */
    private Encoding encoding(org.apache.parquet.format.Encoding own) throws IOException {
      Encoding encoding = Encoding.valueOf(own.name());
      return switch (encoding) {
        case PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY, RLE, BIT_PACKED -> encoding;
        default ->
            throw new IOException(
                "column "
                    + name
                    + " has the encoding "
                    + encoding
                    + "; write it with PLAIN or dictionaries");
      };
    }
  }
}
