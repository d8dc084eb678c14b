/** Training runs: their configuration, what they are composed of, and what they write. */
package org.threegate.rl.run;
