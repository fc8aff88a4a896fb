set pagination off
set confirm off
set print thread-events off
set debuginfod enabled off
set width 0
tbreak main
run
break push
continue
print value
backtrace
finish
continue
finish
print list->value
print *list
print list->text
delete
watch watched
continue
continue
delete
python
def entries():
    entry = gdb.parse_and_eval('list')
    while int(entry):
        yield int(entry['value'])
        entry = entry['next']
print('python', list(entries()), [str(f) for f in gdb.lookup_type('struct entry').keys()])
end
call push(39)
print *list
break drain
continue
info threads
python
print('python', len(list(entries())), sum(entries()))
end
continue
