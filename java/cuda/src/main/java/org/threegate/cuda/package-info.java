/** CUDA through JavaCPP's presets: cuSOLVER, streams, device memory and tensors of libtorch. */
package org.threegate.cuda;
