/*
 * What the models share.
 *
 * A step of a process is one access to memory that others may see: a load, a store, or a CAS. Local
 * computation is folded into such a step (d_step). Spin interleaves the steps in every order, one after
 * the other: the orderings of weak memory are not what is checked here.
 *
 * Ghosts are variables that the source does not have. They say what is true (who owns, what is in use),
 * change in the same step as the word that makes it true, and are read by assertions alone.
 *
 * Two searches are made of every model, both complete:
 *   safety    assertions and deadlocks.
 *   progress  -DPROGRESS, mostly of a smaller case: no process can ever be blocked, and the graph of
 *             states has no cycle, so whoever is stopped for ever, and wherever, the others come to
 *             their end: nobody waits.
 * -DMUTANT_... puts an error into the model, which the search must find.
 */
byte ended; /* processes that came to their end */
