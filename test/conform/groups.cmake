# The groups of cases in which a call is held up, left for good, forked out of, or met at an edge. Included
# by CMakeLists.txt.

foreach(group IN ITEMS stop jump fork edge)
	uslub_conform(${group} ${group}.*)
endforeach()
uslub_conform(storm storm.* --seconds 60)
# Memory is to go back in the middle of the walks, not a second later. Timers must find a processor.
set_tests_properties(conform.stop PROPERTIES ENVIRONMENT USLUB=purge_delay:20)
set_tests_properties(conform.storm conform.jump conform.edge PROPERTIES RUN_SERIAL ON)

# A hang costs its whole time limit: one will do. The C library's malloc ends sooner in the others.
uslub_conform_verdict(lock_held $<TARGET_FILE:conform_lock> stop.refill=hang)
set(bad corrupt|crash|hang|fail)
uslub_conform_verdict(glibc_contexts glibc jump.step=${bad} jump.throw=${bad} fork.clone=${bad}
	edge.small-stack=${bad} edge.exit=pass)

# The same over simulated nodes, whose cpus the threads go from one to another of: what is longest on the new paths.
uslub_conform(nodes step.refill --case step.flush --case step.remote --case step.large
	--case step.nolock --case step.kmem_alloc --case stop.first --case stop.refill
	--case stop.slab --case stop.exit --case jump.step --case fork.fork
	--case edge.small-stack)
set_tests_properties(conform.nodes PROPERTIES
	ENVIRONMENT "USLUB=nodes:4,purge_delay:20" RUN_SERIAL ON)
uslub_conform(nodes_interleave step.refill --case step.large_realloc --case step.kmem_alloc
	--case stop.slab --case jump.random --case fork.clone)
set_tests_properties(conform.nodes_interleave PROPERTIES
	ENVIRONMENT "USLUB=nodes:4,purge_delay:20,policy:interleave" RUN_SERIAL ON)
