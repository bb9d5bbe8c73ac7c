_dit4sr_completion() {
    local IFS=$'
'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \
                   COMP_CWORD=$COMP_CWORD \
                   _DIT4SR_COMPLETE=complete_bash $1 ) )
    return 0
}

complete -o default -F _dit4sr_completion dit4sr

