package org.threegate.run;

import java.lang.management.ManagementFactory;
import java.util.Collection;
import java.util.Locale;

/**
 * The native memory that a measurement may use. It decides how many items are processed at the same
 * time. Threads that are left help with single items.
 *
 * <pre>{@code
 * MemoryBudget budget = MemoryBudget.ofBytes(8L << 30);
 * int atOnce = budget.atOnce(64, List.of(new MemoryBudget.Item("q_proj", 2e11, 1L << 30)));
 * System.out.println(atOnce + " matrices at the same time");
 * }</pre>
 *
 * @param bytes the memory in bytes, at least 1
 * @param isGiven whether a caller has chosen it, so that larger items are refused
 */
public record MemoryBudget(long bytes, boolean isGiven) {
  private static final double BYTES_OF_MEGABYTE = 1e6;

  /** Checks the size. */
  public MemoryBudget {
    if (bytes < 1) {
      throw new IllegalArgumentException(bytes + " bytes; at least 1 is needed");
    }
  }

  /**
   * An item to process.
   *
   * @param name name of the item, for errors
   * @param cost its work, in any unit
   * @param bytes native memory that it needs
   */
  public record Item(String name, double cost, long bytes) {}

  /**
   * {@return a budget that a caller has chosen}
   *
   * @param bytes the memory in bytes, at least 1
   */
  public static MemoryBudget ofBytes(long bytes) {
    return new MemoryBudget(bytes, true);
  }

  /** {@return half of the memory of this machine or container} */
  public static MemoryBudget ofMachine() {
    long all =
        ManagementFactory.getOperatingSystemMXBean()
                instanceof com.sun.management.OperatingSystemMXBean system
            ? system.getTotalMemorySize()
            : Runtime.getRuntime().maxMemory();
    return new MemoryBudget(Math.max(1, all / 2), false);
  }

  /**
   * {@return how many items to process at the same time: at most the threads and the items, as many
   * as fit into the budget if all were as large as the largest, and no more than would wait for the
   * longest item at the end} It is at least 1.
   *
   * @param threads number of threads
   * @param items all items
   * @throws InvalidInputException if an item needs more than a budget that a caller has chosen
   */
  public int atOnce(int threads, Collection<Item> items) {
    double total = 0;
    double longest = 0;
    long largest = 1;
    for (Item item : items) {
      if (isGiven && item.bytes() > bytes) {
        throw new InvalidInputException(
            String.format(
                Locale.ROOT,
                "%s needs about %,.0f MB of memory, and %,.0f MB are allowed; allow more, or leave it"
                    + " out",
                PrintableText.of(item.name()),
                Math.ceil(item.bytes() / BYTES_OF_MEGABYTE),
                Math.floor(bytes / BYTES_OF_MEGABYTE)));
      }
      total += item.cost();
      longest = Math.max(longest, item.cost());
      largest = Math.max(largest, item.bytes());
    }
    double useful = longest > 0 ? Math.ceil(total / longest) : items.size();
    double most = Math.min(Math.min(threads, items.size()), Math.min(useful, bytes / largest));
    return (int) Math.max(1, most);
  }
}
