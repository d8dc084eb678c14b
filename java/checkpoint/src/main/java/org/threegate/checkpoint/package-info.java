/** Files to tensors: safetensors, sharded indexes, model configurations and adapters. */
package org.threegate.checkpoint;
