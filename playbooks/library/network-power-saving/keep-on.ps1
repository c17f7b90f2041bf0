# Tells Windows not to turn off network adapters to save power. It restarts none of them, as one
# carries our own session: what Windows does not take up at once is in force after the next restart.
# Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: keep-on.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include adapters.ps1

$settings = Invoke-Probe 'power' { Get-PowerSettings }
$done = New-Object System.Collections.ArrayList
foreach ($guid in @($Params.adapters)) {
    $result = [PSCustomObject][ordered]@{ guid = [string]$guid; capabilities_before = $null; stored = $false; told = $false }
    $null = Invoke-Probe 'store' {
        $path = Find-AdapterKey $result.guid
        # ERROR_FILE_NOT_FOUND
        if ($null -eq $path) { throw (New-Object System.ComponentModel.Win32Exception 2) }
        $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($path, $true)
        try {
            $before = $key.GetValue('PnPCapabilities')
            $value = 24
            if ($null -ne $before) {
                $result.capabilities_before = [long]$before -band 4294967295
                $value = [int]$before -bor 24
            }
            $key.SetValue('PnPCapabilities', [int]$value, [Microsoft.Win32.RegistryValueKind]::DWord)
            $result.stored = $true
        } finally {
            $key.Close()
        }
    }
    if ($null -ne $settings -and $settings.ContainsKey($result.guid)) {
        $null = Invoke-Probe 'tell' {
            $setting = $settings[$result.guid]
            $property = $setting.CimInstanceProperties['AllowComputerToTurnOffDevice']
            # 0: the driver knows nothing of it.
            if ($property.Value -eq 2) {
                $property.Value = 1
                # Without NoRestart it would restart the adapter, and cut us off.
                $null = Invoke-BoundedCmdlet 'Set-NetAdapterPowerManagement' @{ InputObject = $setting; NoRestart = $true } 15000
                $result.told = $true
            }
        }
    }
    [void]$done.Add($result)
}

[PSCustomObject][ordered]@{
    adapters = $done.ToArray()
    probe_errors = $ProbeErrors.ToArray()
}
