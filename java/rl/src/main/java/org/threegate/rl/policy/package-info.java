/** Decoders on libtorch: models, tokenizers and sampling. */
package org.threegate.rl.policy;
