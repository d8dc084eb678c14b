/** Observers of training runs: measurements of the policy, and sinks for metrics. */
package org.threegate.rl.observe;
