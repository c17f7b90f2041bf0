# Takes away the debuggers that are started in place of programs of the shell. What they were is in
# the answer. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: clear-debuggers.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include winlogon.ps1

$done = New-Object System.Collections.ArrayList
foreach ($program in @($Params.programs)) {
    $result = [PSCustomObject][ordered]@{ program = [string]$program; before = $null; cleared = $false }
    $null = Invoke-Probe 'clear' {
        $path = $DebuggerKey + '\' + $result.program
        $before = Get-MachineValue $path 'Debugger'
        if ($null -ne $before) { $result.before = [string]$before }
        $root = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
        try {
            $key = $root.OpenSubKey($path, $true)
            if ($null -ne $key) {
                # The other values of the key are somebody else's.
                try { $key.DeleteValue('Debugger', $false) } finally { $key.Close() }
            }
        } finally {
            $root.Close()
        }
        $result.cleared = $true
    }
    [void]$done.Add($result)
}

[PSCustomObject][ordered]@{
    programs = $done.ToArray()
    probe_errors = $ProbeErrors.ToArray()
}
