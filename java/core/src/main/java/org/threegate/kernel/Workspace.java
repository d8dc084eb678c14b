package org.threegate.kernel;

import java.util.function.LongToIntFunction;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/** Queries, allocates and frees the workspace of a kernel. */
final class Workspace {
  /** Bytes of two structs: the size of the workspace, and the workspace. */
  static final int STRUCT_BYTES = Structs.WORKSPACE_SIZE_SIZEOF + Structs.WORKSPACE_SIZEOF;

  private Workspace() {}

  /**
   * Runs a kernel with a workspace.
   *
   * @param at position of the two structs in {@code structs}, in bytes
   * @param query receives the address of a {@code tg_workspace_size}
   * @param kernel receives the address of a {@code tg_workspace}
   */
  static void use(
      Context context,
      Context.Call call,
      NativeBuffer structs,
      long at,
      LongToIntFunction query,
      LongToIntFunction kernel) {
    long workspaceAt = at + Structs.WORKSPACE_SIZE_SIZEOF;
    try (NativeBuffer.Lease own = structs.lease()) {
      structs.putLong(at + Structs.WORKSPACE_SIZE_SIZE, Structs.WORKSPACE_SIZE_SIZEOF);
      call.check(query.applyAsInt(own.address() + at));
      long bytes = structs.getLong(at + Structs.WORKSPACE_SIZE_HOST_BYTES);
      try (NativeBuffer memory = context.allocate(bytes);
          NativeBuffer.Lease lease = memory.lease()) {
        structs
            .putLong(workspaceAt + Structs.WORKSPACE_SIZE, Structs.WORKSPACE_SIZEOF)
            .putLong(workspaceAt + Structs.WORKSPACE_HOST, lease.address())
            .putLong(workspaceAt + Structs.WORKSPACE_HOST_BYTES, bytes)
            .putLong(workspaceAt + Structs.WORKSPACE_DEVICE, 0)
            .putLong(workspaceAt + Structs.WORKSPACE_DEVICE_BYTES, 0);
        call.check(kernel.applyAsInt(own.address() + workspaceAt));
      }
    }
  }
}
