/** Environments that answer a model over several turns: tools and games. */
package org.threegate.rl.environment;
