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
