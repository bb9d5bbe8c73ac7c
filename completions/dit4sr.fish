# Completion of dit4sr for fish. Where nothing is offered, fish completes files.
function __dit4sr_complete
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -l found (command $before[1] complete -- $before[2..-1] "$word" 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path "$word"
    end
end
complete -c dit4sr -f -a '(__dit4sr_complete)'
